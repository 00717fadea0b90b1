//! What is wrong with the webhooks of a number, in plain words, and the command that mends it.
//! Pure.

use super::{EVENTS, REQUIRED};
use crate::kapso::{ApiStyle, platform::Webhook};

/// What the webhook should be, as far as our settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The address of the door.
    pub url: Option<&'a str>,
    /// The API that we answer by, where that is known.
    pub style: Option<ApiStyle>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Remark,
    /// Something does not come, or comes twice.
    Flaw,
    /// Messages do not come.
    Broken,
}

impl Severity {
    /// For a person, and for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Remark => "remark",
            Self::Flaw => "flaw",
            Self::Broken => "broken",
        }
    }
}

/// Something about the webhooks of a number. The texts name no address, number or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is so, in a sentence.
    pub what: String,
    /// What mends it.
    pub remedy: String,
    /// Kapso has paused the webhook: it is resumed, not registered.
    pub is_paused: bool,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity, what: what.into(), remedy: remedy.into(), is_paused: false }
    }
}

const REGISTER: &str = "worker webhook register";

/// What a webhook of kind meta comes to with the conversation API, by the table in `kapso::addressing`.
pub(crate) const META_UNANSWERED: &str =
    "Meta's own events name no conversation, and the conversation API answers in one: nobody is answered";
/// What mends it.
pub(crate) const ANSWER_BY_PROXY: &str = "set KAPSO_API_BASE_URL=https://api.kapso.ai/meta/whatsapp/v24.0";

/// The webhook that is ours: the one at our address, an active one first. Without an address of
/// ours: the only one there is.
#[must_use]
pub fn ours<'a>(webhooks: &'a [Webhook], wanted: &Wanted<'_>) -> Option<&'a Webhook> {
    let Some(url) = wanted.url else {
        return match webhooks {
            [only] => Some(only),
            _ => None,
        };
    };
    let mut here: Vec<_> = webhooks.iter().filter(|webhook| is_at(webhook, url)).collect();
    here.sort_by_key(|webhook| webhook.active == Some(false));
    here.first().copied()
}

/// What there is to say about the webhooks of a number, the worst first.
#[must_use]
pub fn diagnose(webhooks: &[Webhook], wanted: &Wanted<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match ours(webhooks, wanted) {
        Some(our) => of_ours(our, wanted, &mut findings),
        None => findings.push(none_is_ours(webhooks, wanted)),
    }
    if let Some(our) = ours(webhooks, wanted) {
        of_others(webhooks, our, wanted, &mut findings);
    }
    if wanted.url.is_none() {
        findings.push(Finding::new(
            Severity::Remark,
            "BUZON_PUBLIC_URL is not set, so nobody can tell whether the address is ours",
            "set BUZON_PUBLIC_URL to the address by which Kapso reaches ingest",
        ));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn none_is_ours(webhooks: &[Webhook], wanted: &Wanted<'_>) -> Finding {
    match (webhooks.len(), wanted.url) {
        (0, _) => {
            Finding::new(Severity::Broken, "no webhook is registered for the number: nothing comes", REGISTER)
        }
        (_, None) => Finding::new(
            Severity::Broken,
            "several webhooks are registered for the number, and which of them is ours is not known",
            "set BUZON_PUBLIC_URL to the address by which Kapso reaches ingest",
        ),
        (_, Some(_)) => Finding::new(
            Severity::Broken,
            "no webhook of the number goes to BUZON_PUBLIC_URL: nothing comes here",
            format!("{REGISTER} (or, to lead an existing one here: {REGISTER} --id ID)"),
        ),
    }
}

fn of_ours(our: &Webhook, wanted: &Wanted<'_>, findings: &mut Vec<Finding>) {
    if our.active == Some(false) {
        let what = "the webhook is paused, and Kapso does not resume it by itself: nothing comes";
        let remedy = "mend what made it fail (the failed deliveries and ingest's log say), then: worker webhook resume";
        findings.push(Finding { is_paused: true, ..Finding::new(Severity::Broken, what, remedy) });
    }
    if is_meta(our) {
        findings.push(Finding::new(
            Severity::Remark,
            "the webhook is of kind meta: Meta's own events are passed on, all of them, and ingest has to know how they are signed",
            "KAPSO_META_APP_SECRET, where they carry X-Hub-Signature-256",
        ));
        if wanted.style == Some(ApiStyle::Conversation) {
            findings.push(Finding::new(Severity::Flaw, META_UNANSWERED, ANSWER_BY_PROXY));
        }
        return;
    }
    of_its_events(our, findings);
    if our.payload_version.as_deref() == Some("v1") {
        findings.push(Finding::new(
            Severity::Flaw,
            "the webhook's payload version is v1: it is understood, but says less, and newer events do not come in it",
            REGISTER,
        ));
    }
    if our.buffer_enabled == Some(true) {
        findings.push(Finding::new(
            Severity::Remark,
            "received messages are buffered: they come together, and later",
            "nothing; switch buffering off in Kapso if replies are to be faster",
        ));
    }
}

fn of_its_events(our: &Webhook, findings: &mut Vec<Finding>) {
    let Some(events) = &our.events else { return };
    let missing = |wanted: &[&str]| -> Vec<String> {
        let lacks = |event: &&&str| !events.iter().any(|there| there == **event);
        wanted.iter().filter(lacks).map(|event| (*event).to_owned()).collect()
    };
    let (required, all) = (missing(&REQUIRED), missing(&EVENTS));
    let (Some(first), Some(received)) = (all.first(), REQUIRED.first()) else { return };
    let severity = match required.len() {
        _ if first == received => Severity::Broken,
        0 => Severity::Remark,
        _ => Severity::Flaw,
    };
    findings.push(Finding::new(
        severity,
        format!("the webhook is not subscribed to {}", all.join(", ")),
        REGISTER,
    ));
}

fn of_others(webhooks: &[Webhook], our: &Webhook, wanted: &Wanted<'_>, findings: &mut Vec<Finding>) {
    let others = || webhooks.iter().filter(|it| it.id != our.id && it.active != Some(false));
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        others().partition(|other| wanted.url.is_some_and(|url| is_at(other, url)));
    if !here.is_empty() {
        findings.push(Finding::new(
            Severity::Flaw,
            "another active webhook of the number goes to the same address: everything comes twice",
            format!("delete one of them in Kapso; {} is the one that is looked after here", our.id),
        ));
    }
    if !elsewhere.is_empty() {
        findings.push(Finding::new(
            Severity::Remark,
            "another active webhook of the number goes elsewhere: if somebody answers there too, people get two answers",
            "pause or delete it in Kapso, unless it is meant to be",
        ));
    }
}

/// Whether a webhook passes Meta's own events on: all of them, whatever it lists.
pub(crate) fn is_meta(webhook: &Webhook) -> bool {
    webhook.kind.as_deref() == Some("meta")
}

/// A slash at the end makes no difference to a person, and a great one to ingest.
fn is_at(webhook: &Webhook, url: &str) -> bool {
    webhook.url.as_deref() == Some(url)
}

#[cfg(test)]
mod tests;
