//! The number's one webhook as it is registered with Kapso: where it goes, in which shape, for which events.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{clock, config::Buffering, config::SimConfig, dialect::Dialect, ids, story::Line};

/// Kinds that a number's webhook can be registered for (Kapso's documentation, the number-level catalogue).
const KNOWN: [&str; 11] = [
    "whatsapp.message.received",
    "whatsapp.message.sent",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
    "whatsapp.conversation.created",
    "whatsapp.conversation.ended",
    "whatsapp.conversation.inactive",
    "whatsapp.contact.identity_changed",
    "whatsapp.contact.marketing_preference_changed",
    "whatsapp.meta_business_agent.handover",
];

/// Kapso's default.
const INACTIVITY_MINUTES: u64 = 60;
/// Kapso's own shapes, the guide's among them.
const KAPSO: &str = "kapso";
/// Meta's own body, forwarded: neither events nor version can be chosen.
const META: &str = "meta";

/// A registered webhook. A number can have several: the first is the one that this simulator
/// pauses and that its settings are of, all others are told the same beside it.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) url: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) secret: Option<String>,
    pub(crate) buffering: Buffering,
    /// Silence after which a conversation counts as inactive.
    inactivity_minutes: u64,
    /// None: everything, as long as nobody has registered anything.
    events: Option<Vec<String>>,
    /// Of all but the first, which the breaker pauses.
    pub(crate) active: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl Subscription {
    pub(crate) fn of(config: &SimConfig) -> Self {
        let now = clock::now();
        Self {
            id: ids::uuid(),
            url: config.webhook_url.clone(),
            dialect: config.dialect,
            secret: config.webhook_secret.clone(),
            buffering: config.buffering,
            inactivity_minutes: INACTIVITY_MINUTES,
            events: None,
            active: true,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether this is the id of a webhook that exists.
    pub(crate) fn is(&self, id: &str) -> bool {
        self.url.is_some() && self.id == id
    }

    /// Notes that something about it changed: Kapso has paused it.
    pub(crate) fn touch(&mut self) {
        self.updated_at = clock::now();
    }

    /// Whether `kind` is among the events that it shows: never for one of kind meta, which shows none.
    pub(crate) fn is_subscribed(&self, kind: &str) -> bool {
        self.events().iter().any(|event| event == kind)
    }

    /// The events as the platform API shows them.
    fn events(&self) -> Vec<String> {
        match &self.events {
            _ if self.kind() == META => Vec::new(),
            Some(events) => events.clone(),
            None => KNOWN.map(str::to_owned).to_vec(),
        }
    }

    /// Whether it is told of `kind`. Only Kapso's own kinds can be chosen: Meta's body comes whole, the guide's always.
    pub(crate) fn wants(&self, dialect: Dialect, kind: &str) -> bool {
        let chosen = matches!(dialect, Dialect::V1 | Dialect::V2 | Dialect::V2Batch);
        !chosen || self.events.as_ref().is_none_or(|events| events.iter().any(|event| event == kind))
    }

    /// Kapso's word for whose shape it has: it is chosen when the webhook is made, and stays.
    fn kind(&self) -> &'static str {
        if self.dialect == Dialect::Meta { META } else { KAPSO }
    }

    /// Refuses what can't be changed about it; the error is Kapso's sentence.
    pub(crate) fn allows(&self, change: &Change) -> Result<(), String> {
        match change.kind.as_deref() {
            Some(kind) if kind != self.kind() => Err("Kind can't be changed".to_owned()),
            _ => Ok(()),
        }
    }

    /// As the platform API shows it.
    pub(crate) fn show(&self, line: &Line, active: bool) -> Value {
        json!({
            "id": self.id,
            "url": self.url,
            "kind": self.kind(),
            "events": self.events(),
            // Kapso shows it whole, to everybody who has the key.
            "secret_key": self.secret,
            "active": active,
            "payload_version": if self.dialect == Dialect::V1 { "v1" } else { "v2" },
            "buffer_enabled": self.dialect == Dialect::V2Batch,
            "buffer_window_seconds": self.buffering.window.as_secs(),
            "max_buffer_size": self.buffering.max_size,
            "inactivity_minutes": self.inactivity_minutes,
            "headers": {},
            "phone_number_id": line.phone_number_id,
            "created_at": clock::iso(self.created_at),
            "updated_at": clock::iso(self.updated_at),
        })
    }

    /// A new registration.
    pub(crate) fn registered(change: Change) -> Self {
        let now = clock::now();
        let mut new = Self {
            id: ids::uuid(),
            url: None,
            dialect: Dialect::V2,
            secret: None,
            buffering: Buffering::default(),
            inactivity_minutes: INACTIVITY_MINUTES,
            events: Some(Vec::new()),
            active: true,
            created_at: now,
            updated_at: now,
        };
        new.change(change);
        new
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.dialect = change.dialect(self.dialect);
        self.url = change.url.or(self.url.take());
        self.secret = change.secret.or(self.secret.take());
        self.events = change.events.or(self.events.take());
        self.active = change.active.unwrap_or(self.active);
        self.buffering.window = change.buffer_window.unwrap_or(self.buffering.window);
        self.buffering.max_size = change.max_buffer_size.unwrap_or(self.buffering.max_size);
        self.inactivity_minutes = change.inactivity_minutes.unwrap_or(self.inactivity_minutes);
        self.updated_at = clock::now();
    }
}

/// What a call of the platform API says about a webhook; what it leaves out stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    url: Option<String>,
    kind: Option<String>,
    payload_version: Option<String>,
    buffer_enabled: Option<bool>,
    buffer_window: Option<std::time::Duration>,
    max_buffer_size: Option<usize>,
    inactivity_minutes: Option<u64>,
    events: Option<Vec<String>>,
    secret: Option<String>,
    pub(crate) active: Option<bool>,
}

impl Change {
    /// Reads the `whatsapp_webhook` object; the error is Kapso's sentence.
    pub(crate) fn read(webhook: &Value) -> Result<Self, String> {
        let text = |name: &str| webhook.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str, most: u64| match webhook.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (1..=most).contains(&number) => Ok(Some(number)),
                _ => Err(format!("{name} must be between 1 and {most}")),
            },
        };
        let events = webhook.get("events").and_then(Value::as_array).map(|events| {
            events.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>()
        });
        let unknown: Vec<String> = events
            .iter()
            .flatten()
            .filter(|event| !KNOWN.contains(&event.as_str()))
            .map(|event| format!("{event:?}"))
            .collect();
        if !unknown.is_empty() {
            return Err(format!("Events contains unsupported events: {}", unknown.join(", ")));
        }
        let kind = text("kind");
        if kind.as_ref().is_some_and(|kind| ![KAPSO, META].contains(&kind.as_str())) {
            return Err("Kind is not included in the list".to_owned());
        }
        Ok(Self {
            url: text("url"),
            kind,
            payload_version: text("payload_version"),
            buffer_enabled: webhook.get("buffer_enabled").and_then(Value::as_bool),
            buffer_window: number("buffer_window_seconds", 60)?.map(std::time::Duration::from_secs),
            max_buffer_size: number("max_buffer_size", 100)?.and_then(|size| usize::try_from(size).ok()),
            // The API's name, and the one in the documentation's example.
            inactivity_minutes: number("inactivity_minutes", 1440)?
                .or(number("inactive_after_minutes", 1440)?),
            events,
            secret: text("secret_key"),
            active: webhook.get("active").and_then(Value::as_bool),
        })
    }

    pub(crate) fn has_url(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.starts_with("https://") || url.starts_with("http://"))
    }

    /// Through the API a secret is required; only the dashboard makes one up.
    pub(crate) fn has_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(|secret| !secret.is_empty())
    }

    /// The shape that this asks for; that which is in force where it says nothing of it.
    fn dialect(&self, current: Dialect) -> Dialect {
        let version = self.payload_version.as_deref();
        match (self.kind.as_deref(), version, self.buffer_enabled) {
            (Some(META), ..) => Dialect::Meta,
            _ if current == Dialect::Meta => current,
            (None, None, None) => current,
            (_, Some("v1"), _) => Dialect::V1,
            (_, _, Some(true)) => Dialect::V2Batch,
            (_, None, None) => current,
            _ => Dialect::V2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(webhook: &Value) -> Option<Dialect> {
        Change::read(webhook).ok().map(|change| change.dialect(Dialect::Guide))
    }

    #[test]
    fn the_shape_follows_what_is_registered() {
        assert_eq!(dialect(&json!({ "active": true })), Some(Dialect::Guide));
        assert_eq!(dialect(&json!({ "kind": "meta" })), Some(Dialect::Meta));
        assert_eq!(dialect(&json!({ "payload_version": "v1" })), Some(Dialect::V1));
        assert_eq!(dialect(&json!({ "payload_version": "v2" })), Some(Dialect::V2));
        assert_eq!(dialect(&json!({ "buffer_enabled": true })), Some(Dialect::V2Batch));
    }

    #[test]
    fn unknown_events_are_refused_in_kapsos_words() {
        let refused = Change::read(&json!({ "events": ["whatsapp.message.received", "message.received"] }));
        let words = "Events contains unsupported events: \"message.received\"";
        assert_eq!(refused.err().as_deref(), Some(words));
    }
}
