//! Is the webhook there, ours, and complete? Pure.

use super::super::{guide, report::Finding};
use crate::{
    kapso::{ApiStyle, platform::Webhook},
    tools::screen,
    webhooks::{ANSWER_BY_PROXY, META_UNANSWERED, is_meta},
};

/// Without it, nobody is answered.
const NEEDED: &str = "whatsapp.message.received";
/// Without these, nobody knows what became of a message of ours.
const WANTED: [&str; 4] = [
    "whatsapp.message.sent",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
];

/// How it should be.
pub(super) struct Expected<'a> {
    /// Where it should be sent, where that is known.
    pub(super) url: Option<&'a str>,
    /// The API that we answer by.
    pub(super) style: ApiStyle,
}

/// What is to be said of the webhooks of our numbers, and which of them is ours.
pub(super) fn judge<'a>(
    found: &'a [Webhook],
    expected: &Expected<'_>,
) -> (Vec<Finding>, Option<&'a Webhook>) {
    let is_ours = |webhook: &&Webhook| expected.url.is_none_or(|url| webhook.url.as_deref() == Some(url));
    let ours: Vec<&Webhook> = found.iter().filter(is_ours).collect();
    // Of several, the one that is sent.
    let Some(webhook) = ours.iter().find(|webhook| webhook.active != Some(false)).or(ours.first()) else {
        return (vec![absent(found, expected)], None);
    };
    let mut findings = vec![address(webhook, expected), active(webhook), events(webhook), shape(webhook)];
    if is_meta(webhook) && expected.style == ApiStyle::Conversation {
        findings.push(Finding::wrong("answers", META_UNANSWERED, ANSWER_BY_PROXY));
    }
    let active = ours.iter().filter(|webhook| webhook.active == Some(true)).count();
    if active > 1 {
        let says = format!("{active} active webhooks lead here: every event comes so many times");
        findings.push(Finding::remark(
            "several",
            says,
            "nothing is doubled by it; remove all but one in Kapso",
        ));
    }
    (findings, Some(webhook))
}

fn absent(found: &[Webhook], expected: &Expected<'_>) -> Finding {
    const REGISTER: &str = "register it: worker webhook register; or in Kapso: Webhooks, Add";
    let elsewhere: Vec<String> =
        found.iter().filter_map(|webhook| webhook.url.as_deref()).map(screen::plain).collect();
    match expected.url {
        Some(url) if !elsewhere.is_empty() => Finding::wrong(
            super::ABOUT,
            format!("no webhook leads to {url}, but to {}", elsewhere.join(", ")),
            "one of the two is wrong: the URL in Kapso, or BUZON_PUBLIC_URL",
        ),
        _ => Finding::wrong(super::ABOUT, "our numbers have no webhook: Kapso sends nothing", REGISTER),
    }
    .named(guide::NOTHING)
}

fn address(webhook: &Webhook, expected: &Expected<'_>) -> Finding {
    let url = screen::plain(webhook.url.as_deref().unwrap_or("nowhere"));
    if expected.url.is_some() {
        return Finding::fine(super::ABOUT, format!("it leads to {url}"));
    }
    let remedy = "set BUZON_PUBLIC_URL to the address by which the world reaches ingest, to have it compared";
    Finding::remark(super::ABOUT, format!("it leads to {url}; whether that is here is not known"), remedy)
}

fn active(webhook: &Webhook) -> Finding {
    match webhook.active {
        Some(false) => Finding::wrong(
            "active",
            "it is paused: Kapso sends nothing, and does not resume it by itself",
            "mend what it failed for (see `deliveries`), then: worker webhook resume; what was missed: worker backfill",
        )
        .named(guide::NOTHING),
        Some(true) => Finding::fine("active", "it is active"),
        None => Finding::remark("active", "Kapso does not say whether it is active", "look at it in Kapso"),
    }
}

fn events(webhook: &Webhook) -> Finding {
    const ABOUT: &str = "events";
    const REMEDY: &str = "subscribe it: worker webhook register; or in Kapso, at the webhook";
    if is_meta(webhook) {
        return Finding::fine(ABOUT, "all of Meta's, since its kind is `meta`");
    }
    let Some(events) = &webhook.events else {
        return Finding::remark(ABOUT, "Kapso does not say which events it has", "look at it in Kapso");
    };
    let lacks = |name: &&&str| !events.iter().any(|event| event == **name);
    let missing: Vec<&str> = WANTED.iter().filter(lacks).copied().collect();
    if lacks(&&NEEDED) {
        Finding::wrong(ABOUT, format!("{NEEDED} is not subscribed: no message comes"), REMEDY)
            .named(guide::NOTHING)
    } else if missing.is_empty() {
        Finding::fine(ABOUT, format!("{} are subscribed, those of messages among them", events.len()))
    } else {
        let says = format!("not subscribed: {}; what became of our messages is not told", missing.join(", "));
        Finding::remark(ABOUT, says, REMEDY).named(guide::NOTHING)
    }
}

/// Every shape is understood; it is told for whoever compares.
fn shape(webhook: &Webhook) -> Finding {
    let kind = screen::plain(webhook.kind.as_deref().unwrap_or("unknown"));
    let version = screen::plain(webhook.payload_version.as_deref().unwrap_or("unknown"));
    let buffering = match (webhook.buffer_enabled, webhook.buffer_window_seconds) {
        (Some(true), Some(seconds)) => format!("for {seconds} s: replies come so much later"),
        (Some(true), None) => "on: replies come later".to_owned(),
        (Some(false), _) => "off".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    Finding::fine("shape", format!("kind {kind}, version {version}, buffering {buffering}"))
}
