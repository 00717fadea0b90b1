//! A case: webhooks with placeholders for times, and what must come of them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Sent one after the other: each once the one before it is projected.
    pub(crate) webhooks: Vec<Webhook>,
    /// The reverse order gives the same result.
    pub(crate) any_order: bool,
    pub(crate) wants: Vec<Want>,
}

/// One request, its times still to be filled in.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) template: String,
}

/// What must come of a case. Messages and contacts go by their names.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// The message has a row with these values.
    Message(String, Vec<(&'static str, Is)>),
    /// The message has no row of its own.
    NoMessage(String),
    /// The message never had this status.
    NoStatus(String, &'static str),
    /// All names mean one row in `contacts`, which wrote all of these messages.
    OneContact { names: Vec<String>, messages: Vec<String> },
    /// The contact has these values.
    Contact(String, Vec<(&'static str, Is)>),
    /// The message is answered once.
    Answered { message: String, on: On, address: Option<Address> },
    /// The message is answered once, or not at all: whether our own message before it counts as a human agent's depends on
    /// which came first.
    MayBeAnswered(String),
    /// The message is not answered: nothing owes a reply to it, or what did is discarded.
    NotAnswered(String),
    /// The reply to the message is discarded because a human agent has taken over.
    TakenOver { message: String, on: On },
    /// The message is not marked as read.
    NotMarked(String),
    /// The effects of these two messages are in different lanes.
    OtherLane(String, String),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Text(&'static str),
    Null,
    /// Anything but null.
    Set,
}

/// Kapso's API to which the worker is pointed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Conversation,
    MetaProxy,
}

/// The APIs that can address a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Both,
    /// The message names no conversation of Kapso's.
    Proxy,
}

/// The field of a request to the Meta proxy that names the person, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    To(String),
    Recipient(String),
}

impl On {
    pub(crate) fn includes(self, api: Api) -> bool {
        self == Self::Both || api == Api::MetaProxy
    }
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, webhooks: Vec<Webhook>, wants: Vec<Want>) -> Self {
        Self { name: name.into(), webhooks, any_order: false, wants }
    }

    pub(crate) fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    /// The messages whose replies the case is about.
    pub(crate) fn replies(&self) -> impl Iterator<Item = &str> {
        self.wants.iter().filter_map(|want| match want {
            Want::Answered { message, .. }
            | Want::MayBeAnswered(message)
            | Want::NotAnswered(message)
            | Want::TakenOver { message, .. } => Some(message.as_str()),
            _ => None,
        })
    }

    /// The fewest and the most replies that Kapso is asked for, all in all.
    pub(crate) fn sends(&self, api: Api) -> RangeInclusive<usize> {
        let answered = |want: &&Want| matches!(want, Want::Answered { on, .. } if on.includes(api));
        let maybe = |want: &&Want| matches!(want, Want::MayBeAnswered(_));
        let fewest = self.wants.iter().filter(answered).count();
        fewest..=fewest + self.wants.iter().filter(maybe).count()
    }

    /// Everything in the webhooks that a request to Kapso could be addressed by. Our own number is not among it: all
    /// cases have it in common.
    pub(crate) fn addresses(&self, ours: &str) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for webhook in &self.webhooks {
            let rendered = webhook.render(OffsetDateTime::UNIX_EPOCH)?;
            let body: Value = serde_json::from_str(rendered.trim_start_matches('\u{feff}'))?;
            leaves(&body, &mut found);
        }
        found.remove(ours);
        Ok(found)
    }
}

impl Webhook {
    /// The body at a time.
    pub(crate) fn render(&self, now: OffsetDateTime) -> Result<String> {
        let mut rendered = String::new();
        let mut rest = self.template.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (placeholder, after) = after.split_once("}}").context("a placeholder ends")?;
            let (form, seconds) = placeholder.split_at_checked(3).context("a placeholder's form")?;
            let at = now + Duration::seconds(seconds.parse().context("a placeholder's seconds")?);
            ensure!(["now", "iso"].contains(&form), "no placeholder: {placeholder}");
            let at = if form == "now" { at.unix_timestamp().to_string() } else { kapso_sim::iso(at) };
            rendered.extend([before, &at]);
            rest = after;
        }
        rendered.push_str(rest);
        Ok(rendered)
    }
}

fn leaves(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(plain(text));
        }
        Value::Array(values) => values.iter().for_each(|value| leaves(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, found)),
        _ => {}
    }
}

/// A phone number without its decoration; any other text as it is.
pub(crate) fn plain(text: &str) -> String {
    let decoration = |it: char| "+ -().".contains(it);
    if text.chars().all(|it| it.is_ascii_digit() || decoration(it)) {
        text.replace(decoration, "")
    } else {
        text.to_owned()
    }
}

pub(crate) fn message(id: impl Into<String>, columns: &[(&'static str, Is)]) -> Want {
    Want::Message(id.into(), columns.to_vec())
}

pub(crate) fn no_message(id: impl Into<String>) -> Want {
    Want::NoMessage(id.into())
}

pub(crate) fn contact(name: impl Into<String>, columns: &[(&'static str, Is)]) -> Want {
    Want::Contact(name.into(), columns.to_vec())
}

pub(crate) fn one_contact(names: &[&str], messages: &[&str]) -> Want {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Want::OneContact { names: owned(names), messages: owned(messages) }
}

pub(crate) fn answered(message: impl Into<String>, on: On) -> Want {
    Want::Answered { message: message.into(), on, address: None }
}

pub(crate) fn answered_at(message: impl Into<String>, on: On, address: Address) -> Want {
    Want::Answered { message: message.into(), on, address: Some(address) }
}

pub(crate) fn not_answered(message: impl Into<String>) -> Want {
    Want::NotAnswered(message.into())
}

pub(crate) fn taken_over(message: impl Into<String>, on: On) -> Want {
    Want::TakenOver { message: message.into(), on }
}

pub(crate) fn not_marked(message: impl Into<String>) -> Want {
    Want::NotMarked(message.into())
}

pub(crate) fn other_lane(one: impl Into<String>, other: impl Into<String>) -> Want {
    Want::OtherLane(one.into(), other.into())
}

pub(crate) fn no_status(message: impl Into<String>, status: &'static str) -> Want {
    Want::NoStatus(message.into(), status)
}
