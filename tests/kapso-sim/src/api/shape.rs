//! Objects of the conversation API.

use serde_json::{Value, json};

pub(super) use crate::dialect::v1_conversation;
use crate::{
    clock::iso,
    story::{Direction, Message},
};

/// A message; `named` says whether Meta has named it yet.
pub(super) fn v1_message(of: &Message, named: bool) -> Value {
    let media = of.content.media.as_ref();
    let updated_at = of.statuses.last().map_or(of.at, |change| change.at);
    json!({
        "id": of.id,
        "phone_number": of.conversation.contact.e164(),
        "message_type": of.content.kind,
        "content": of.content.shown(),
        "direction": of.direction.as_str(),
        "status": of.status(),
        "processing_status": if of.direction == Direction::Inbound { "completed" } else { "pending" },
        "whatsapp_message_id": named.then_some(&of.wamid),
        "whatsapp_conversation_id": of.conversation.id,
        "metadata": {},
        "media_url": media.map(|media| &media.url),
        "message_type_data": if of.content.kind == "text" { json!({}) } else { of.content.body.clone() },
        "created_at": iso(of.at),
        "updated_at": iso(updated_at),
    })
}
