//! Kapso's legacy payload version: flat messages, `whatsapp_config` beside them.
//! The bodies of its statuses are not documented; they repeat the message with a newer status.

use serde_json::{Map, Value, json};

use crate::{
    clock::{iso, unix},
    story::{Conversation, Event, Fact, Line, Message, StatusChange},
};

pub(super) fn body(line: &Line, event: &Event) -> Option<(&'static str, Value)> {
    Some(match &event.fact {
        Fact::Received(message) => {
            let mut body = item(line, message, None);
            if let Value::Object(body) = &mut body {
                body.insert("is_new_conversation".to_owned(), json!(message.is_new_conversation));
            }
            ("whatsapp.message.received", body)
        }
        Fact::Status(message, change) => {
            (super::v2::status_kind(change.status), item(line, message, Some(change)))
        }
        Fact::ConversationCreated(it) => ("whatsapp.conversation.created", opened(line, it)),
        Fact::ConversationEnded(it) => ("whatsapp.conversation.ended", opened(line, it)),
        Fact::ContactCreated(_) | Fact::ContactUpdated(..) => return None,
    })
}

fn item(line: &Line, of: &Message, change: Option<&StatusChange>) -> Value {
    json!({
        "message": message(of, change),
        "conversation": conversation(line, &of.conversation),
        "whatsapp_config": config(line),
    })
}

fn opened(line: &Line, it: &Conversation) -> Value {
    json!({ "conversation": conversation(line, it), "whatsapp_config": config(line) })
}

fn message(of: &Message, change: Option<&StatusChange>) -> Value {
    let contact = &of.conversation.contact;
    let mut metadata = Map::from_iter([("timestamp".to_owned(), json!(unix(of.at)))]);
    if let Some(error) = change.and_then(|change| change.error.as_ref()) {
        let error = json!([{ "code": error.code, "title": error.title, "message": error.title }]);
        metadata.insert("errors".to_owned(), error);
    }
    let media = of.content.media.as_ref();
    let mut message = json!({
        "id": of.id,
        "whatsapp_message_id": of.wamid,
        "message_type": of.content.kind,
        "content": of.content.shown(),
        "direction": of.direction.as_str(),
        "status": change.map_or_else(|| of.status(), |change| change.status.as_str()),
        "processing_status": super::v2::processing(of),
        "origin": of.origin,
        "phone_number": contact.e164(),
        "conversation_phone_number": contact.e164(),
        "contact_name": contact.name,
        "whatsapp_conversation_id": of.conversation.id,
        "has_media": media.is_some(),
        "media_data": media.map(super::v2::media),
        "message_type_data": if of.content.kind == "text" { Value::Null } else { of.content.body.clone() },
        "metadata": metadata,
        "created_at": iso(of.at),
    });
    if let (Value::Object(message), Some(media)) = (&mut message, media) {
        message.insert("filename".to_owned(), json!(media.filename));
        message.insert("mime_type".to_owned(), json!(media.content_type));
    }
    message
}

pub(crate) fn conversation(line: &Line, it: &Conversation) -> Value {
    json!({
        "id": it.id,
        "phone_number": it.contact.e164(),
        "contact_name": it.contact.name,
        "status": it.status(),
        "whatsapp_config_id": line.config_id,
        "last_active_at": iso(it.last_active_at),
        "created_at": iso(it.created_at),
        "updated_at": iso(it.last_active_at),
        "metadata": {},
    })
}

fn config(line: &Line) -> Value {
    json!({
        "id": line.config_id,
        "name": line.name,
        "phone_number_id": line.phone_number_id,
        "display_phone_number": format!("+{}", line.number),
    })
}
