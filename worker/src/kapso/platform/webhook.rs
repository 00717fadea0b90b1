//! A webhook as it is registered with Kapso, and what can be changed about it.

use contract::settings::Secret;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A registered webhook. A field that the answer does not have is `None`. Its secret, which Kapso
/// lists unmasked, is not read: nothing can show what nobody has.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id at Kapso.
    pub id: String,
    /// Where it is sent.
    pub url: Option<String>,
    /// `kapso`, or `meta`: Meta's own body, passed on.
    pub kind: Option<String>,
    /// What it is subscribed to.
    pub events: Option<Vec<String>>,
    /// Whether it is sent at all; Kapso pauses one that fails too often.
    pub active: Option<bool>,
    /// `v1` or `v2`.
    pub payload_version: Option<String>,
    /// Whether received messages are gathered.
    pub buffer_enabled: Option<bool>,
    /// For how long, in seconds.
    pub buffer_window_seconds: Option<u64>,
    /// How many at the most.
    pub max_buffer_size: Option<u64>,
    /// After how many minutes without a message a conversation is told to be inactive.
    pub inactivity_minutes: Option<u64>,
    /// The number that it belongs to; none for one of the project.
    pub phone_number_id: Option<String>,
    /// When it was last changed.
    pub updated_at: Option<OffsetDateTime>,
}

impl Webhook {
    /// Reads one; none without an id.
    pub(crate) fn read(item: &Value) -> Option<Self> {
        let words = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self {
            id: text(item, "id")?,
            url: text(item, "url"),
            kind: text(item, "kind"),
            events: item.get("events").and_then(Value::as_array).map(words),
            active: item.get("active").and_then(Value::as_bool),
            payload_version: text(item, "payload_version"),
            buffer_enabled: item.get("buffer_enabled").and_then(Value::as_bool),
            buffer_window_seconds: item.get("buffer_window_seconds").and_then(Value::as_u64),
            max_buffer_size: item.get("max_buffer_size").and_then(Value::as_u64),
            inactivity_minutes: ["inactivity_minutes", "inactive_after_minutes"]
                .into_iter()
                .find_map(|name| item.get(name)?.as_u64()),
            phone_number_id: text(item, "phone_number_id"),
            updated_at: instant(item, "updated_at"),
        })
    }
}

/// What a webhook is to be; what is none stays as it is, or as Kapso makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookChange<'a> {
    /// Where it is sent.
    pub url: Option<&'a str>,
    /// `kapso` or `meta`.
    pub kind: Option<&'a str>,
    /// What it is subscribed to: all of it.
    pub events: Option<&'a [&'a str]>,
    /// What it is signed with.
    pub secret_key: Option<&'a Secret>,
    /// Whether it is sent.
    pub active: Option<bool>,
    /// `v1` or `v2`.
    pub payload_version: Option<&'a str>,
}

impl WebhookChange<'_> {
    /// As the API takes it.
    pub(super) fn json(&self) -> Value {
        let Self { url, kind, events, secret_key, active, payload_version } = *self;
        let fields = [
            ("url", url.map(Value::from)),
            ("kind", kind.map(Value::from)),
            ("events", events.map(|events| json!(events))),
            ("secret_key", secret_key.map(|secret| secret.expose().into())),
            ("active", active.map(Value::from)),
            ("payload_version", payload_version.map(Value::from)),
        ];
        let set = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(Map::from_iter(set))
    }
}

/// A text that is there and not empty; a number is one, too.
pub(super) fn text(item: &Value, name: &str) -> Option<String> {
    match item.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A time, in ISO-8601.
pub(super) fn instant(item: &Value, name: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(item.get(name)?.as_str()?, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_known() {
        let bare = Webhook::read(&json!({ "id": "w", "active": null, "events": null, "url": "" }));
        let known = bare.map(|it| (it.active, it.events, it.url, it.kind, it.buffer_enabled));
        assert_eq!(known, Some((None, None, None, None, None)));
        assert!(Webhook::read(&json!({ "url": "https://x" })).is_none());
    }

    #[test]
    fn a_secret_is_not_read() {
        let shown = format!("{:?}", Webhook::read(&json!({ "id": "w", "secret_key": "s3cret" })));
        assert!(shown.starts_with("Some") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn inactivity_goes_by_either_name() {
        for name in ["inactivity_minutes", "inactive_after_minutes"] {
            let read = Webhook::read(&json!({ "id": "w", name: 15 }));
            assert_eq!(read.and_then(|it| it.inactivity_minutes), Some(15), "{name}");
        }
    }

    #[test]
    fn a_change_names_only_what_it_changes() {
        let resume = WebhookChange { active: Some(true), ..WebhookChange::default() };
        assert_eq!(resume.json(), json!({ "active": true }));
        let secret = Secret::new("s3cret");
        let all = WebhookChange {
            url: Some("https://x/"),
            kind: Some("kapso"),
            events: Some(&["a"]),
            secret_key: Some(&secret),
            active: Some(true),
            payload_version: Some("v2"),
        };
        let expected = json!({ "url": "https://x/", "kind": "kapso", "events": ["a"], "secret_key": "s3cret",
                               "active": true, "payload_version": "v2" });
        assert_eq!(all.json(), expected);
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}
