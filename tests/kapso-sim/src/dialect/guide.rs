//! The integration guide's dialect. Its `failed`, `contact.*` and `conversation.*` payloads are shown nowhere;
//! those here follow the style of the ones that are.

use serde_json::{Value, json};

use crate::{
    clock::iso,
    story::{Contact, Conversation, Event, Fact, Line, Message, Status, StatusChange},
};

pub(super) fn body(line: &Line, event: &Event) -> Option<(&'static str, Value)> {
    let (kind, message_id, payload) = match &event.fact {
        Fact::Received(message) => ("message.received", Some(&message.id), received(line, message)),
        Fact::Status(message, change) => {
            (status_kind(change.status), Some(&message.id), status(message, change))
        }
        Fact::ConversationCreated(conversation) => {
            ("conversation.status_changed", None, changed(conversation))
        }
        Fact::ConversationEnded(conversation) => ("conversation.status_changed", None, changed(conversation)),
        Fact::ContactCreated(contact) => ("contact.created", None, json!({ "contact": described(contact) })),
        Fact::ContactUpdated(contact, _) => {
            ("contact.updated", None, json!({ "contact": described(contact) }))
        }
    };
    let mut body = json!({ "event_type": kind, "timestamp": iso(event.at), "payload": payload });
    if let Value::Object(body) = &mut body {
        body.extend(event.conversation_id().map(|id| ("conversation_id".to_owned(), json!(id))));
        body.extend(message_id.map(|id| ("message_id".to_owned(), json!(id))));
    }
    Some((kind, body))
}

fn received(line: &Line, message: &Message) -> Value {
    let contact = &message.conversation.contact;
    let mut payload = json!({
        "from": contact.e164(),
        "to": format!("+{}", line.number),
        "content": message.content.typed_text(),
        "message_type": message.content.kind,
        "timestamp": iso(message.at),
        "contact": described(contact),
    });
    if let (Value::Object(payload), Some(media)) = (&mut payload, &message.content.media) {
        payload.insert(
            "media".to_owned(),
            json!({ "url": media.url, "content_type": media.content_type, "size": media.bytes }),
        );
    }
    payload
}

fn status_kind(status: Status) -> &'static str {
    match status {
        Status::Sent => "message.sent",
        Status::Delivered => "message.delivered",
        Status::Read => "message.read",
        Status::Failed => "message.failed",
    }
}

fn status(message: &Message, change: &StatusChange) -> Value {
    let status = change.status.as_str();
    match (&change.error, change.status) {
        (Some(error), _) => json!({
            "status": status,
            "error": { "code": error.code, "message": error.title, "details": error.details },
        }),
        (None, Status::Sent) => json!({ "status": status, "message_type": message.content.kind }),
        (None, _) => json!({ "status": status }),
    }
}

/// A conversation that is open was opened just now: it had no status before.
fn changed(conversation: &Conversation) -> Value {
    let previous = conversation.ended.then_some("active");
    json!({ "status": conversation.status(), "previous_status": previous })
}

fn described(contact: &Contact) -> Value {
    json!({ "id": contact.id, "phone_number": contact.e164(), "display_name": contact.name })
}
