//! What Kapso's two dialects share. Source: Kapso's documentation, "Webhooks: Event types".

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{
    Facts,
    instant::instant,
    json::{filled, text},
};
use crate::event::{ContactNames, Conversation, Direction, Fact, Message, Moment};

/// Who wrote the message of an event of this kind.
pub(super) fn direction_of(kind: &str) -> Option<Direction> {
    match kind {
        "message.received" => Some(Direction::Inbound),
        "message.sent" | "message.delivered" | "message.read" | "message.failed" => Some(Direction::Outbound),
        _ => None,
    }
}

/// What the snapshot of a conversation tells of it, in either dialect.
pub(super) fn conversation(
    id: String,
    snapshot: &Value,
    contact: &ContactNames,
    phone_number_id: Option<String>,
) -> Conversation {
    Conversation {
        id,
        contact: contact.clone(),
        phone_number_id,
        status: text(snapshot, "status"),
        last_active_at: instant(snapshot, "last_active_at"),
        created_at: instant(snapshot, "created_at"),
        metadata: filled(snapshot, "metadata").map(Value::to_string),
        ..Conversation::default()
    }
}

/// Adds to what a snapshot told what the event is about: that the conversation ended, or
/// fell silent.
pub(super) fn changed(facts: &mut Facts, kind: &str, item: &Value) {
    for (at, fact) in facts {
        let Fact::Conversation(conversation) = fact else { continue };
        match kind {
            "conversation.ended" => {
                conversation.status.get_or_insert_with(|| "ended".to_owned());
                conversation.ended_at = at.timed.then_some(at.at);
            }
            "conversation.inactive" => conversation.inactive_at = silence(item),
            _ => {}
        }
    }
}

/// When a conversation had been silent for long enough: so long after its last message.
fn silence(item: &Value) -> Option<OffsetDateTime> {
    /// What Kapso's webhooks wait for unless told otherwise.
    const DEFAULT_MINUTES: u32 = 60;
    let since = instant(item.get("since_message")?, "created_at")?;
    let minutes = item.get("inactivity").and_then(|inactivity| text(inactivity, "minutes"));
    let minutes = minutes.and_then(|minutes| minutes.parse().ok()).unwrap_or(DEFAULT_MINUTES);
    since.checked_add(Duration::minutes(minutes.into()))
}

/// WhatsApp's name of a message and Kapso's, where both are given; they may be one.
pub(super) fn both_names(message: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        ["whatsapp_message_id", "id"].iter().filter_map(|field| text(message, field)).collect();
    names.dedup();
    names
}

/// The message that a silence follows: it links the two names that a message has.
pub(super) fn last_message(
    item: &Value,
    conversation: Option<String>,
    contact: &ContactNames,
    phone_number_id: Option<String>,
) -> Facts {
    let Some(since) = filled(item, "since_message") else {
        return Facts::new();
    };
    let names = both_names(since);
    let (Some(at), false) = (instant(since, "created_at"), names.is_empty()) else {
        return Facts::new();
    };
    let outbound = text(since, "direction").as_deref() == Some("outbound");
    let message = Message {
        names,
        // An inbound one is told by its own event, which owes a reply.
        direction: outbound.then_some(Direction::Outbound),
        conversation,
        contact: contact.clone(),
        phone_number_id,
        ..Message::default()
    };
    vec![(Moment { at, timed: true }, Fact::Message(message))]
}
