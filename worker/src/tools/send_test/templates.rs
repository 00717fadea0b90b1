//! The shapes of a webhook, one for each dialect. Pure.
//!
//! They are small: what Kapso documents and the decoders read, and no more.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::told::{Kind, Told};
use crate::tools::post::Headers;

/// The name of the one whom a test event tells of.
const CONTACT_NAME: &str = "Prueba de Buzón";

/// How Kapso tells of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    /// The customer's guide
    Guide,
    /// Kapso's payload version v1
    V1,
    /// Kapso's payload version v2
    V2,
    /// Version v2, buffered: a batch of one
    V2Batch,
    /// Meta's own webhook, as Kapso passes it on
    Meta,
}

/// A webhook without its signature.
pub(super) struct Webhook {
    /// As ingest will call it.
    pub(super) kind: String,
    pub(super) headers: Headers,
    pub(super) body: Value,
}

impl Dialect {
    /// Whether it can tell of this.
    pub(super) fn tells(self, kind: Kind) -> bool {
        match self {
            Self::Guide => !matches!(kind, Kind::ConversationCreated | Kind::ConversationEnded),
            Self::V1 | Self::V2 => {
                kind.is_of_a_message() || matches!(kind, Kind::ConversationCreated | Kind::ConversationEnded)
            }
            Self::V2Batch => kind == Kind::Received,
            Self::Meta => kind.is_of_a_message(),
        }
    }

    /// The webhook that tells it.
    pub(super) fn tell(self, told: &Told) -> Webhook {
        let name = told.kind.name();
        let kapsos = format!("whatsapp.{name}");
        let key = ("X-Idempotency-Key", Told::fresh("send-test-"));
        let versioned = |version: &str| {
            vec![
                ("X-Webhook-Event", kapsos.clone()),
                key.clone(),
                ("X-Webhook-Payload-Version", version.to_owned()),
            ]
        };
        match self {
            Self::Guide => Webhook { kind: name.to_owned(), headers: Vec::new(), body: guide(told) },
            Self::V1 => Webhook { headers: versioned("v1"), kind: kapsos, body: v1(told) },
            Self::V2 => Webhook { headers: versioned("v2"), kind: kapsos, body: v2(told) },
            Self::V2Batch => {
                let mut headers = versioned("v2");
                headers.extend([("X-Webhook-Batch", "true".to_owned()), ("X-Batch-Size", "1".to_owned())]);
                Webhook { headers, body: batch(told, &kapsos), kind: kapsos }
            }
            Self::Meta => Webhook { kind: "unknown".to_owned(), headers: vec![key], body: meta(told) },
        }
    }
}

fn guide(told: &Told) -> Value {
    let contact = json!({
        "id": format!("contact-{}", told.contact), "phone_number": told.number(), "display_name": CONTACT_NAME,
    });
    let payload = match told.kind {
        Kind::Received => json!({
            "from": told.number(), "content": told.text, "message_type": "text", "timestamp": told.iso(),
            "contact": contact,
        }),
        Kind::Failed => json!({
            "status": "failed", "error": { "code": 131_026, "message": "Message undeliverable" },
        }),
        Kind::ConversationChanged => json!({ "status": "ended", "previous_status": "active" }),
        Kind::ContactCreated | Kind::ContactUpdated => json!({ "contact": contact }),
        kind => json!({ "status": kind.status(), "message_type": "text" }),
    };
    let mut body = json!({ "event_type": told.kind.name(), "timestamp": told.iso(), "payload": payload });
    if told.kind.is_of_a_message() {
        body["message_id"] = json!(told.message_id);
    }
    if told.kind.is_of_a_message() || told.kind.is_of_a_conversation() {
        body["conversation_id"] = json!(told.conversation_id);
    }
    body
}

fn v1(told: &Told) -> Value {
    let mut body = json!({
        "conversation": {
            "id": told.conversation_id, "phone_number": told.number(), "contact_name": CONTACT_NAME,
            "status": conversation_status(told.kind), "whatsapp_config_id": "config-send-test",
            "last_active_at": told.iso(), "created_at": told.iso(), "updated_at": told.iso(),
        },
        "whatsapp_config": {
            "id": "config-send-test", "name": "send-test", "phone_number_id": told.phone_number_id,
        },
    });
    if told.kind.is_of_a_message() {
        body["message"] = json!({
            "id": told.message_id.replace("wamid.", "kapso-"), "whatsapp_message_id": told.message_id,
            "message_type": "text", "content": told.text, "direction": direction(told.kind),
            "status": told.kind.status().unwrap_or("received"), "origin": "cloud_api",
            "phone_number": told.number(), "contact_name": CONTACT_NAME, "has_media": false,
            "whatsapp_conversation_id": told.conversation_id,
            "metadata": { "timestamp": told.seconds() }, "created_at": told.iso(),
        });
    }
    body
}

fn v2(told: &Told) -> Value {
    let mut body = json!({
        "conversation": {
            "id": told.conversation_id, "phone_number": told.contact, "contact_name": CONTACT_NAME,
            "status": conversation_status(told.kind), "phone_number_id": told.phone_number_id,
            "last_active_at": told.iso(), "created_at": told.iso(), "updated_at": told.iso(),
        },
        "phone_number_id": told.phone_number_id,
    });
    if told.kind.is_of_a_message() {
        let status = told.kind.status();
        let mut message = json!({
            "id": told.message_id, "timestamp": told.seconds(), "type": "text", "context": null,
            "text": { "body": told.text },
            "kapso": {
                "direction": direction(told.kind), "status": status.unwrap_or("received"),
                "origin": "cloud_api", "has_media": false, "content": told.text,
            },
        });
        message[if status.is_none() { "from" } else { "to" }] = json!(told.contact);
        if let Some(status) = status {
            message["kapso"]["statuses"] = json!([told.meta_status(status)]);
        }
        body["message"] = message;
        body["is_new_conversation"] = json!(false);
    }
    body
}

fn batch(told: &Told, kind: &str) -> Value {
    json!({
        "type": kind, "batch": true, "data": [v2(told)],
        "batch_info": {
            "size": 1, "window_ms": 5000, "first_sequence": 1, "last_sequence": 1,
            "conversation_id": told.conversation_id,
        },
    })
}

fn meta(told: &Told) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "56900000000", "phone_number_id": told.phone_number_id },
    });
    match told.kind.status() {
        Some(status) => value["statuses"] = json!([told.meta_status(status)]),
        None => {
            value["contacts"] = json!([{ "profile": { "name": CONTACT_NAME }, "wa_id": told.contact }]);
            value["messages"] = json!([{
                "id": told.message_id, "from": told.contact, "timestamp": told.seconds(), "type": "text",
                "text": { "body": told.text },
            }]);
        }
    }
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "send-test", "changes": [{ "field": "messages", "value": value }] }],
    })
}

fn direction(kind: Kind) -> &'static str {
    if kind.status().is_some() { "outbound" } else { "inbound" }
}

fn conversation_status(kind: Kind) -> &'static str {
    if kind == Kind::ConversationEnded { "ended" } else { "active" }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contract::envelope::{Envelope, Hints, WebhookId};
    use time::macros::datetime;

    use super::*;
    use crate::{
        decode::decode,
        event::{Fact, Progress},
    };

    fn told(kind: Kind) -> Told {
        Told {
            kind,
            message_id: "wamid.TEST".to_owned(),
            conversation_id: "conv-1".to_owned(),
            contact: "56900001234".to_owned(),
            phone_number_id: "2077".to_owned(),
            text: "Hola".to_owned(),
            at: datetime!(2026-11-25 12:00 UTC),
        }
    }

    fn envelope(webhook: &Webhook) -> Envelope {
        let mut hints = Hints::default();
        for (name, value) in &webhook.headers {
            hints.offer(name, value.as_bytes());
        }
        let (kind, body) = (contract::kind::Kind::new(&webhook.kind), Bytes::from(webhook.body.to_string()));
        let id = WebhookId::of(&kind, &body);
        Envelope::recall(id, kind, datetime!(2026-11-25 12:00:01 UTC), "secret:0".to_owned(), hints, body)
    }

    /// Every dialect's every event is understood by the decoders, and says what was asked for.
    #[test]
    fn the_decoders_understand_them_all() {
        let mut understood = 0;
        for dialect in Dialect::value_variants() {
            for kind in Kind::value_variants().iter().filter(|kind| dialect.tells(**kind)) {
                let decoded = decode(&envelope(&dialect.tell(&told(*kind))));
                let what = format!("{dialect:?} {kind:?}: {decoded:?}");
                assert!(decoded.not_understood == 0 && decoded.undecodable.is_empty(), "{what}");
                assert!(
                    decoded.dialect.is_some() && decoded.events.iter().all(|event| event.at.timed),
                    "{what}"
                );
                let facts = || decoded.events.iter().map(|event| &event.fact);
                let says = match kind.status() {
                    Some(status) => facts().any(
                        |fact| matches!(fact, Fact::Status(told) if progress(told.progress) == Some(status)),
                    ),
                    None if *kind == Kind::Received => facts().any(|fact| {
                        matches!(fact, Fact::Message(told) if told.body.as_deref() == Some("Hola")
                            && told.names.iter().any(|name| name == "wamid.TEST"))
                    }),
                    None if kind.is_of_a_conversation() => {
                        facts().any(|fact| matches!(fact, Fact::Conversation(told) if told.id == "conv-1"))
                    }
                    None => facts().any(|fact| matches!(fact, Fact::Contact(_))),
                };
                assert!(says, "{what}");
                understood += 1;
            }
        }
        assert_eq!(understood, 28);
    }

    fn progress(progress: Progress) -> Option<&'static str> {
        match progress {
            Progress::Sent => Some("sent"),
            Progress::Delivered => Some("delivered"),
            Progress::Read => Some("read"),
            Progress::Failed => Some("failed"),
            _ => None,
        }
    }
}
