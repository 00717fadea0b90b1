//! Kapso's current payload version: Meta's message with a `kapso` object in it, the conversation beside it.

use serde_json::{Map, Value, json};

use super::meta;
use crate::{
    clock::{iso, iso_micros},
    story::{Contact, Conversation, Direction, Event, Fact, Line, Media, Message, Status, StatusChange},
};

pub(super) fn body(line: &Line, event: &Event) -> Option<(&'static str, Value)> {
    Some(match &event.fact {
        Fact::Received(it) => ("whatsapp.message.received", item(line, it, &[])),
        Fact::Status(it, change) => {
            (status_kind(change.status), item(line, it, std::slice::from_ref(change)))
        }
        Fact::ConversationCreated(it) => ("whatsapp.conversation.created", opened(line, it)),
        Fact::ConversationEnded(it) => ("whatsapp.conversation.ended", opened(line, it)),
        Fact::ContactUpdated(it, previous) => {
            let body = json!({
                "contact": contact(it, event.at),
                "previous": { "business_scoped_user_id": previous, "parent_business_scoped_user_id": null },
                "phone_number_id": line.phone_number_id,
            });
            ("whatsapp.contact.identity_changed", body)
        }
        Fact::ContactCreated(_) => return None,
    })
}

pub(super) fn status_kind(status: Status) -> &'static str {
    match status {
        Status::Sent => "whatsapp.message.sent",
        Status::Delivered => "whatsapp.message.delivered",
        Status::Read => "whatsapp.message.read",
        Status::Failed => "whatsapp.message.failed",
    }
}

pub(super) fn processing(of: &Message) -> &'static str {
    match of.direction {
        Direction::Inbound => "pending",
        Direction::Outbound => "completed",
    }
}

pub(super) fn media(media: &Media) -> Value {
    json!({
        "url": media.url,
        "filename": media.filename,
        "content_type": media.content_type,
        "byte_size": media.bytes,
    })
}

fn item(line: &Line, of: &Message, changes: &[StatusChange]) -> Value {
    let mut conversation = conversation(line, &of.conversation);
    if let Value::Object(conversation) = &mut conversation {
        // Kapso leaves its summary out of delivered and failed.
        if changes.iter().any(|it| matches!(it.status, Status::Delivered | Status::Failed)) {
            conversation.remove("kapso");
        } else {
            conversation.insert("kapso".to_owned(), summary(&of.conversation, Some(of)));
        }
    }
    json!({
        "message": message(of, changes),
        "conversation": conversation,
        "is_new_conversation": of.is_new_conversation,
        "phone_number_id": line.phone_number_id,
    })
}

fn opened(line: &Line, it: &Conversation) -> Value {
    json!({ "conversation": conversation(line, it), "phone_number_id": line.phone_number_id })
}

/// A message with what Kapso knows of it; `changes` are the raw statuses that it shows.
pub(crate) fn message(of: &Message, changes: &[StatusChange]) -> Value {
    let mut message = meta::message(of);
    message.insert("context".to_owned(), of.context.clone().unwrap_or(Value::Null));
    let contact = &of.conversation.contact;
    match of.direction {
        Direction::Inbound => {
            message.extend(contact.bsuid.as_ref().map(|id| ("from_user_id".to_owned(), json!(id))));
        }
        Direction::Outbound => {
            message.extend(contact.number.as_ref().map(|number| ("to".to_owned(), json!(number))));
        }
    }
    message.insert("kapso".to_owned(), Value::Object(extension(of, changes)));
    Value::Object(message)
}

fn extension(of: &Message, changes: &[StatusChange]) -> Map<String, Value> {
    let status = changes.last().map_or_else(|| of.status(), |change| change.status.as_str());
    let mut kapso = Map::from_iter([
        ("direction".to_owned(), json!(of.direction.as_str())),
        ("status".to_owned(), json!(status)),
        ("processing_status".to_owned(), json!(processing(of))),
        ("origin".to_owned(), json!(of.origin)),
        ("has_media".to_owned(), json!(of.content.media.is_some())),
    ]);
    kapso.extend(of.content.shown().map(|shown| ("content".to_owned(), json!(shown))));
    if let Some(stored) = &of.content.media {
        kapso.insert("media_url".to_owned(), json!(stored.url));
        kapso.insert("media_data".to_owned(), media(stored));
        kapso.insert("message_type_data".to_owned(), json!({}));
    }
    if of.content.kind == "order" {
        kapso.extend(of.content.body.get("text").map(|text| ("order_text".to_owned(), text.clone())));
    }
    if !changes.is_empty() {
        let raw: Vec<Value> = changes.iter().map(|change| meta::status(of, change)).collect();
        kapso.insert("statuses".to_owned(), Value::Array(raw));
    }
    kapso
}

/// A conversation as Kapso v2 shows it, with a summary that knows of no message yet.
pub(crate) fn conversation(line: &Line, it: &Conversation) -> Value {
    json!({
        "id": it.id,
        "phone_number": it.contact.number,
        "business_scoped_user_id": it.contact.bsuid,
        "parent_business_scoped_user_id": null,
        "username": null,
        "contact_name": it.contact.name,
        "status": it.status(),
        "last_active_at": iso(it.last_active_at),
        "created_at": iso(it.created_at),
        "updated_at": iso(it.last_active_at),
        "metadata": {},
        "phone_number_id": line.phone_number_id,
        "kapso": summary(it, None),
    })
}

fn summary(it: &Conversation, last: Option<&Message>) -> Value {
    let at = |direction| last.filter(|last| last.direction == direction).map(|last| iso_micros(last.at));
    json!({
        "contact_name": it.contact.name,
        "messages_count": it.messages,
        "last_message_id": last.map(|last| &last.wamid),
        "last_message_type": last.map(|last| &last.content.kind),
        "last_message_timestamp": last.map(|last| iso_micros(last.at)),
        "last_message_text": last.and_then(|last| last.content.shown()),
        "last_inbound_at": at(Direction::Inbound),
        "last_outbound_at": at(Direction::Outbound),
    })
}

fn contact(it: &Contact, updated_at: time::OffsetDateTime) -> Value {
    json!({
        "id": it.id,
        "customer_id": null,
        "wa_id": it.number,
        "profile_name": it.name,
        "display_name": null,
        "business_scoped_user_id": it.bsuid,
        "parent_business_scoped_user_id": null,
        "username": null,
        "sandbox": false,
        "created_at": iso(it.created_at),
        "updated_at": iso(updated_at),
    })
}
