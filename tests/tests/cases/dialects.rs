//! Messages as each dialect tells them, for cases that are made here. Invented data.

use serde_json::{Map, Value, json};

use crate::case::Webhook;

pub(crate) use kapso_sim::Dialect::{self, Guide, Meta, V1, V2, V2Batch};

/// Our number, as Meta names it.
pub(crate) const PHONE_NUMBER_ID: &str = "118800223344556";

/// Our number.
pub(crate) const OUR_NUMBER: &str = "56220000001";

/// Somebody who writes to us, in no other case.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Distinguishes the names of messages and conversations.
    pub(crate) key: String,
    /// The number that the conversation or the profile gives.
    pub(crate) number: String,
    /// Kapso's conversation.
    pub(crate) conversation: String,
}

impl Person {
    pub(crate) fn new(key: impl Into<String>, nth: u16) -> Self {
        let key = key.into();
        Self { number: format!("56922200{nth:03}"), conversation: format!("c-case-{key}"), key }
    }

    /// As somebody with a given number.
    pub(crate) fn with_number(key: impl Into<String>, number: impl Into<String>) -> Self {
        Self { number: number.into(), ..Self::new(key, 0) }
    }

    /// The same person in another conversation of Kapso's.
    pub(crate) fn in_conversation(&self, conversation: impl Into<String>) -> Self {
        Self { conversation: conversation.into(), ..self.clone() }
    }

    /// The name of a message.
    pub(crate) fn id(&self, nth: u8) -> String {
        format!("wamid.CASE-{}-{nth}", self.key)
    }
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) id: String,
    pub(crate) who: Person,
    /// The number that the message itself gives: the writer's, or that of whom we write to.
    pub(crate) address: String,
    /// When, in seconds from now.
    pub(crate) at: i64,
    pub(crate) kind: &'static str,
    /// Meta's object for the type.
    pub(crate) object: Value,
    /// Kapso's text: what was written, or its own summary.
    pub(crate) content: String,
    /// Who wrote it on our side, and with what; none: the person wrote it.
    pub(crate) ours: Option<&'static str>,
    /// More fields of the message.
    pub(crate) more: Value,
}

impl Said {
    /// A text of the person's, now.
    pub(crate) fn text(who: &Person, nth: u8, text: &str) -> Self {
        Self {
            id: who.id(nth),
            who: who.clone(),
            address: who.number.clone(),
            at: 0,
            kind: "text",
            object: json!({ "body": text }),
            content: text.to_owned(),
            ours: None,
            more: json!({}),
        }
    }

    /// A message of another type: Meta's object, and what Kapso says of it.
    pub(crate) fn of(who: &Person, nth: u8, kind: &'static str, object: Value, content: &str) -> Self {
        Self { kind, object, content: content.to_owned(), ..Self::text(who, nth, "") }
    }

    /// A human agent writes in the phone's app.
    pub(crate) fn on_the_phone(who: &Person, nth: u8) -> Self {
        Self { ours: Some("business_app"), at: -20, ..Self::text(who, nth, "Oi, quem atende agora sou eu") }
    }

    pub(crate) fn at(self, at: i64) -> Self {
        Self { at, ..self }
    }

    pub(crate) fn by(self, address: impl Into<String>) -> Self {
        Self { address: address.into(), ..self }
    }

    pub(crate) fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }
}

/// A webhook that is not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    dialect: Dialect,
    kind: &'static str,
    pub(crate) body: Value,
}

impl From<Told> for Webhook {
    fn from(told: Told) -> Self {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let version = if told.dialect == V1 { "v1" } else { "v2" };
        let headers = match told.dialect {
            Guide | Meta => Vec::new(),
            V1 | V2 | V2Batch => vec![
                header("X-Webhook-Event", told.kind),
                header("X-Webhook-Payload-Version", version),
                header("X-Idempotency-Key", &kapso_sim::uuid()),
            ],
        };
        Self { headers, template: told.body.to_string() }
    }
}

/// The placeholder for a time in Unix seconds.
pub(crate) fn unix(at: i64) -> String {
    format!("{{{{now{at:+}}}}}")
}

/// The placeholder for a time in ISO 8601.
pub(crate) fn iso(at: i64) -> String {
    format!("{{{{iso{at:+}}}}}")
}

/// A message, told in a dialect.
pub(crate) fn told(dialect: Dialect, said: &Said) -> Told {
    match dialect {
        Guide => Told { dialect, kind: "message.received", body: guide(said) },
        V1 => Told { dialect, kind: kapsos_kind(said), body: v1(said) },
        V2 => Told { dialect, kind: kapsos_kind(said), body: v2(said) },
        V2Batch => batch(&[said]),
        Meta if said.ours.is_some() => echo(said),
        Meta => changed("messages", json!({ "contacts": [profile(said)], "messages": [meta(said)] })),
    }
}

/// Several messages in one batch of Kapso's.
pub(crate) fn batch(said: &[&Said]) -> Told {
    let items: Vec<Value> = said.iter().map(|said| v2(said)).collect();
    let body = json!({
        "type": "whatsapp.message.received", "batch": true, "data": items,
        "batch_info": { "size": items.len(), "window_ms": 5000 },
    });
    Told { dialect: V2Batch, kind: "whatsapp.message.received", body }
}

/// An event of Kapso's dialect of today that is not a message.
pub(crate) fn event(kind: &'static str, body: Value) -> Told {
    Told { dialect: V2, kind, body }
}

/// A change of Meta's.
pub(crate) fn changed(field: &str, mut value: Value) -> Told {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": OUR_NUMBER, "phone_number_id": PHONE_NUMBER_ID });
    let entry = json!({ "id": "2077001", "changes": [{ "field": field, "value": value }] });
    Told {
        dialect: Meta,
        kind: "messages",
        body: json!({ "object": "whatsapp_business_account", "entry": [entry] }),
    }
}

fn kapsos_kind(said: &Said) -> &'static str {
    if said.ours.is_some() { "whatsapp.message.sent" } else { "whatsapp.message.received" }
}

fn merged(mut into: Value, more: &Value) -> Value {
    let none = Map::new();
    for (name, value) in more.as_object().unwrap_or(&none) {
        into[name] = value.clone();
    }
    into
}

/// Meta's message object.
fn meta(said: &Said) -> Value {
    let side = if said.ours.is_some() { "to" } else { "from" };
    let mut message = json!({ "id": said.id, "timestamp": unix(said.at), "type": said.kind });
    message[said.kind] = said.object.clone();
    message[side] = json!(said.address);
    merged(message, &said.more)
}

fn profile(said: &Said) -> Value {
    json!({ "profile": { "name": "Cliente Prueba" }, "wa_id": said.who.number })
}

fn echo(said: &Said) -> Told {
    let message = merged(meta(said), &json!({ "from": OUR_NUMBER }));
    changed(
        "smb_message_echoes",
        json!({ "contacts": [{ "wa_id": said.who.number }], "message_echoes": [message] }),
    )
}

fn v2(said: &Said) -> Value {
    let (direction, status) = sides(said);
    let kapso = json!({
        "direction": direction, "status": status, "processing_status": "pending", "has_media": false,
        "origin": said.ours.unwrap_or("cloud_api"), "content": said.content,
    });
    json!({
        "message": merged(meta(said), &json!({ "kapso": kapso })),
        "conversation": conversation(said),
        "is_new_conversation": false,
        "phone_number_id": PHONE_NUMBER_ID,
    })
}

fn conversation(said: &Said) -> Value {
    json!({
        "id": said.who.conversation, "phone_number": said.who.number, "status": "active", "metadata": {},
        "phone_number_id": PHONE_NUMBER_ID,
    })
}

fn sides(said: &Said) -> (&'static str, &'static str) {
    if said.ours.is_some() { ("outbound", "sent") } else { ("inbound", "received") }
}

fn v1(said: &Said) -> Value {
    let (direction, status) = sides(said);
    let data = if said.kind == "text" { Value::Null } else { said.object.clone() };
    let message = json!({
        "id": format!("uuid-{}", said.id), "whatsapp_message_id": said.id, "message_type": said.kind,
        "content": said.content, "direction": direction, "status": status, "processing_status": "pending",
        "origin": said.ours.unwrap_or("cloud_api"), "phone_number": plus(&said.address),
        "conversation_phone_number": plus(&said.who.number), "contact_name": "Cliente Prueba",
        "whatsapp_conversation_id": said.who.conversation, "has_media": false, "media_data": null,
        "message_type_data": data, "metadata": { "timestamp": unix(said.at) }, "created_at": iso(said.at),
    });
    json!({
        "message": merged(message, &said.more),
        "conversation": {
            "id": said.who.conversation, "phone_number": plus(&said.who.number), "status": "active",
            "contact_name": "Cliente Prueba", "whatsapp_config_id": "cfg-case", "last_active_at": iso(said.at),
            "metadata": {},
        },
        "whatsapp_config": {
            "id": "cfg-case", "name": "Tienda", "phone_number_id": PHONE_NUMBER_ID,
            "display_phone_number": "+56 2 2000 0001",
        },
    })
}

fn guide(said: &Said) -> Value {
    let payload = json!({
        "from": plus(&said.address), "content": said.content, "message_type": said.kind,
        "timestamp": iso(said.at),
        "contact": { "id": format!("ct-{}", said.who.key), "phone_number": plus(&said.who.number) },
    });
    json!({
        "event_type": "message.received", "conversation_id": said.who.conversation, "message_id": said.id,
        "timestamp": iso(said.at), "payload": merged(payload, &said.more),
    })
}

/// As Kapso's older dialects write a number; a user id stays what it is.
fn plus(address: &str) -> String {
    if address.bytes().all(|it| it.is_ascii_digit()) { format!("+{address}") } else { address.to_owned() }
}
