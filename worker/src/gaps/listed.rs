//! A listed message, read as the webhook that it is archived as. Pure.

use std::fmt;

use contract::{
    envelope::{Envelope, Hints, WebhookId},
    kind::Kind,
};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::Window;
use crate::{
    decode::{backfill::KIND, decode},
    event::{Direction, Fact, Listing, Message, Progress, Status},
};

/// Who vouches for what is archived: Kapso's API, asked by us, and no signature.
const VERIFIED_BY: &str = "kapso-api";

/// A message as it was listed, with what its listing says beside it.
pub(crate) struct Raw {
    pub(crate) listing: Listing,
    pub(crate) message: Value,
    /// Named as in the dialect in which that API describes messages.
    pub(crate) beside: Map<String, Value>,
}

/// A listed message.
pub(crate) struct Listed {
    /// What is archived of it.
    pub(crate) webhook: Envelope,
    /// WhatsApp's name of it and Kapso's, those that are listed.
    pub(crate) names: Vec<String>,
    pub(crate) at: OffsetDateTime,
    pub(crate) direction: Option<Direction>,
    /// The best id of the person on the other side.
    pub(crate) contact: Option<String>,
    pub(crate) body: Option<String>,
    /// `text`, `image`, …
    pub(crate) kind: Option<String>,
    /// What its statuses echo.
    pub(crate) echoed: Vec<String>,
    /// How far it is said to have got.
    pub(super) got: Got,
}

/// Which of the states of a message of ours are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    pub(super) sent: bool,
    pub(super) delivered: bool,
    pub(super) read: bool,
    pub(super) failed: bool,
}

/// Why a listed item is neither compared nor stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// It is no message, or conversation, that we can read.
    Unreadable,
    /// Without a name nobody can say whether we have it.
    NoName,
    /// Without a time nobody can say whether it is asked for.
    NoTime,
    /// It can't be told from a message that we know under another kind of name.
    Lookalike,
    /// Postgres refuses what is in it.
    Refused,
    /// Its conversation is gone.
    ConversationGone,
    /// Kapso does not know the number (any more).
    NumberGone,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "nothing that can be read",
            Self::NoName => "a message without an id",
            Self::NoTime => "a message without a time",
            Self::Lookalike => {
                "perhaps one that is known: webhooks and listing name messages in different ways"
            }
            Self::Refused => "refused by the database",
            Self::ConversationGone => "a conversation that is gone",
            Self::NumberGone => "a number that Kapso does not know",
        })
    }
}

impl Got {
    /// Whether `other` says nothing more.
    pub(super) fn covers(self, other: Self) -> bool {
        (self.sent || !other.sent)
            && (self.delivered || !other.delivered)
            && (self.read || !other.read)
            && (self.failed || !other.failed)
    }

    fn add(&mut self, progress: Progress) {
        match progress {
            Progress::Sent => self.sent = true,
            Progress::Delivered => self.delivered = true,
            Progress::Read | Progress::Played => self.read = true,
            Progress::Failed => self.failed = true,
        }
    }
}

impl Listed {
    /// Whether it says something that a webhook can have left out.
    pub(super) fn is_text(&self) -> bool {
        self.body.is_some() && self.kind.as_deref().is_none_or(|kind| kind == "text")
    }

    /// Reads an item. A status that is younger than the window is left to its webhook.
    ///
    /// # Errors
    /// Why it is left alone.
    pub(crate) fn read(raw: Raw, window: Window, received_at: OffsetDateTime) -> Result<Self, Skip> {
        let webhook = archived(raw, received_at);
        let decoded = decode(&webhook);
        if !decoded.undecodable.is_empty() {
            return Err(Skip::Unreadable);
        }
        let message = decoded.events.iter().find_map(|event| match &event.fact {
            Fact::Message(message) => Some((event.at, message)),
            _ => None,
        });
        let Some((at, Message { names, direction, contact, body, kind, .. })) = message else {
            return Err(Skip::Unreadable);
        };
        if names.is_empty() {
            return Err(Skip::NoName);
        }
        if !at.timed {
            return Err(Skip::NoTime);
        }
        let mut got = Got::default();
        let mut echoed = Vec::new();
        for event in &decoded.events {
            if let Fact::Status(Status { names: of, progress, callback_data, .. }) = &event.fact
                && of.iter().any(|name| names.contains(name))
            {
                echoed.extend(callback_data.clone());
                if !event.at.timed || event.at.at <= window.until {
                    got.add(*progress);
                }
            }
        }
        let (names, direction, at) = (names.clone(), *direction, at.at);
        let (contact, body, kind) = (contact.ids().into_iter().next(), body.clone(), kind.clone());
        Ok(Self { webhook, names, at, direction, contact, body, kind, echoed, got })
    }

    /// Whether WhatsApp's name is among its names, if only one kind of name is: what is named
    /// in the other way alone can't be compared with it then.
    pub(super) fn one_kind_of_name(&self) -> Option<bool> {
        let wamids = self.names.iter().filter(|name| name.starts_with("wamid.")).count();
        (wamids == 0 || wamids == self.names.len()).then_some(wamids > 0)
    }
}

/// The webhook that an item is archived as. The JSON has its fields in order: what is listed
/// twice in the same words has the same id.
fn archived(raw: Raw, received_at: OffsetDateTime) -> Envelope {
    let mut body = raw.beside;
    body.insert("event".to_owned(), KIND.into());
    body.insert("api".to_owned(), raw.listing.name().into());
    body.insert("message".to_owned(), raw.message);
    let body = Value::Object(body).to_string();
    let kind = Kind::new(KIND);
    let id = WebhookId::of(&kind, body.as_bytes());
    Envelope::recall(id, kind, received_at, VERIFIED_BY.to_owned(), Hints::default(), body.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-24 17:00 UTC);

    fn read(listing: Listing, message: Value) -> Result<Listed, Skip> {
        let window = Window { since: NOW - Duration::hours(1), until: NOW };
        Listed::read(Raw { listing, message, beside: Map::new() }, window, NOW)
    }

    fn outbound(statuses: &Value) -> Value {
        let kapso = json!({ "direction": "outbound", "status": "pending", "statuses": statuses });
        json!({ "id": "wamid.1", "timestamp": "1795538400", "type": "text", "to": "569", "kapso": kapso })
    }

    #[test]
    fn what_can_not_be_compared_is_left_alone() {
        let skip = |message: Value| read(Listing::MetaProxy, message).err();
        for odd in [json!(7), json!(null), json!("x"), json!([]), json!({})] {
            assert_eq!(skip(odd.clone()), Some(Skip::Unreadable), "{odd}");
        }
        assert_eq!(skip(json!({ "type": "text", "timestamp": "1795538400" })), Some(Skip::NoName));
        assert_eq!(skip(json!({ "id": "wamid.1", "type": "text" })), Some(Skip::NoTime));
        assert_eq!(skip(json!({ "id": "x".repeat(600), "timestamp": "1" })), Some(Skip::Unreadable));
        assert_eq!(skip(outbound(&json!([]))), None);
    }

    #[test]
    fn states_are_its_own_and_none_is_too_young() {
        let status = |id: &str, status: &str, at: i64| json!({ "id": id, "status": status, "timestamp": at.to_string() });
        let (then, later) = (NOW.unix_timestamp() - 60, NOW.unix_timestamp() + 60);
        let statuses = json!([
            status("wamid.1", "sent", then),
            status("wamid.1", "delivered", later),
            status("wamid.2", "read", then)
        ]);
        let got = read(Listing::MetaProxy, outbound(&statuses)).map(|listed| listed.got);
        assert_eq!(got.ok(), Some(Got { sent: true, ..Got::default() }));
    }

    #[test]
    fn the_same_item_is_the_same_webhook() {
        let item =
            |url: &str| json!({ "kapso": { "media_url": url }, "id": "wamid.1", "timestamp": "1795538400" });
        let id = |url: &str, at| {
            let window = Window { since: NOW, until: NOW };
            let raw = Raw { listing: Listing::MetaProxy, message: item(url), beside: Map::new() };
            Listed::read(raw, window, at).map(|listed| listed.webhook.id)
        };
        assert_eq!(id("a", NOW), id("a", NOW + Duration::HOUR));
        assert_ne!(id("a", NOW), id("b", NOW));
    }

    #[test]
    fn more_is_what_is_not_covered() {
        let (none, sent) = (Got::default(), Got { sent: true, ..Got::default() });
        let failed = Got { failed: true, ..sent };
        assert!(sent.covers(none) && sent.covers(sent) && failed.covers(sent));
        assert!(!none.covers(sent) && !sent.covers(failed));
    }
}
