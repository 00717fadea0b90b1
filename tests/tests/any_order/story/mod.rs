//! One story, told as all dialects tell it: webhooks, in the order in which things happened.

mod business;
mod changes;
mod people;
mod raw;
mod talk;

use bytes::Bytes;
use contract::envelope::{Envelope, Hints, WebhookId};
use contract::kind::Kind;
use kapso_sim::Dialect;
use kapso_sim::dialect::{self, Secrets, Webhook};
use kapso_sim::story::{Event, Line};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// Before anything in the story happened.
pub(crate) fn began() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now) - Duration::minutes(30)
}

/// The story.
pub(crate) struct Story {
    began: OffsetDateTime,
    line: Line,
    /// What happens, as webhooks that tell one thing each.
    pub(crate) told: Vec<Told>,
}

/// One thing, told by one webhook.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) dialect: Dialect,
    /// The event's kind, as the sender names it.
    pub(crate) kind: String,
    /// The headers of the request; the signature is not among them.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
    pub(crate) gathers: Gathers,
}

/// With what a webhook can be sent as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gathers {
    /// With nothing.
    Nothing,
    /// With other items of Kapso's dialect of today, in a batch.
    Items,
    /// With other entries of Meta's.
    Entries,
}

impl Story {
    /// All of it: several people, several conversations, every dialect.
    pub(crate) fn new() -> Self {
        let mut story = Self { began: began(), line: Line::default(), told: Vec::new() };
        talk::tell(&mut story);
        people::tell(&mut story);
        business::tell(&mut story);
        raw::tell(&mut story);
        changes::tell(&mut story);
        story.list();
        story
    }

    /// Kapso's listings tell many of the messages once more, as our backfill archives them.
    fn list(&mut self) {
        let listed = |told: &Told| {
            let api = match told.dialect {
                Dialect::V1 => "conversation_api",
                Dialect::V2 => "meta_proxy",
                _ => return None,
            };
            let mut body = told.body.clone();
            let is_message = told.kind.starts_with("whatsapp.message.") && body["message"].is_object();
            body["event"] = json!("message.listed");
            body["api"] = json!(api);
            is_message.then(|| Told {
                kind: "message.listed".to_owned(),
                body,
                gathers: Gathers::Nothing,
                ..told.clone()
            })
        };
        let listed: Vec<Told> = self.told.iter().filter_map(listed).collect();
        self.told.extend(listed);
    }

    /// As much of it as is told in one dialect.
    pub(crate) fn in_dialect(dialect: Dialect) -> Self {
        let mut story = Self::new();
        story.told.retain(|told| told.dialect == dialect);
        story
    }

    /// Seconds after the beginning.
    fn at(&self, seconds: i64) -> OffsetDateTime {
        self.began + Duration::seconds(seconds)
    }

    fn unix(&self, seconds: i64) -> String {
        self.at(seconds).unix_timestamp().to_string()
    }

    fn iso(&self, seconds: i64) -> String {
        kapso_sim::iso(self.at(seconds))
    }

    /// Tells an event in these dialects, as far as they have words for it.
    fn tell(&mut self, dialects: &[Dialect], event: &Event) {
        for dialect in dialects {
            let Some(webhook) = dialect::webhook(*dialect, &self.line, event) else { continue };
            let received = webhook.kind == "whatsapp.message.received";
            let gathers = match dialect {
                Dialect::Meta => Gathers::Entries,
                Dialect::V2 | Dialect::V2Batch if received => Gathers::Items,
                _ => Gathers::Nothing,
            };
            let headers = webhook.headers("0", &Secrets::default());
            let body = serde_json::from_slice(&webhook.body).unwrap_or_default();
            self.told.push(Told { dialect: *dialect, kind: webhook.kind, headers, body, gathers });
        }
    }

    /// Tells what the simulator has no words for.
    fn tell_raw(&mut self, dialect: Dialect, kind: &str, body: Value) {
        let gathers = match dialect {
            Dialect::Meta => Gathers::Entries,
            Dialect::V2 | Dialect::V2Batch if kind == "whatsapp.message.received" => Gathers::Items,
            _ => Gathers::Nothing,
        };
        let webhook = Webhook { dialect, kind: kind.to_owned(), body: Bytes::new(), batch_size: None };
        let headers = webhook.headers("0", &Secrets::default());
        self.told.push(Told { dialect, kind: kind.to_owned(), headers, body, gathers });
    }

    /// A change of Meta's, told by itself.
    fn tell_meta(&mut self, field: &str, mut value: Value) {
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] =
            json!({ "display_phone_number": self.line.number, "phone_number_id": self.line.phone_number_id });
        let entry =
            json!({ "id": self.line.business_account_id, "changes": [{ "field": field, "value": value }] });
        let body = json!({ "object": "whatsapp_business_account", "entry": [entry] });
        self.tell_raw(Dialect::Meta, "messages", body);
    }
}

impl Told {
    /// As a webhook that ingest took in at some time.
    pub(crate) fn envelope(&self, received_at: OffsetDateTime) -> Envelope {
        let kind = Kind::new(&self.kind);
        let body = self.bytes();
        let mut hints = Hints::default();
        for (name, value) in &self.headers {
            hints.offer(name, value.as_bytes());
        }
        Envelope::recall(WebhookId::of(&kind, &body), kind, received_at, "secret:0".to_owned(), hints, body)
    }

    /// The bytes of its body.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(self.body.to_string())
    }
}
