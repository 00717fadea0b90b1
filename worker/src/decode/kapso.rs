//! What Kapso's two dialects share. Source: Kapso's documentation, "Webhooks: Event types".

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{
    Facts, content,
    instant::instant,
    json::{filled, phone_number, text},
    person::Person,
};
use crate::event::{ContactNames, Conversation, Direction, Fact, Message, Moment, Revision};

/// Who wrote the message of an event of this kind.
pub(super) fn direction_of(kind: &str) -> Option<Direction> {
    match kind {
        "message.received" => Some(Direction::Inbound),
        "message.sent" | "message.delivered" | "message.read" | "message.failed" => Some(Direction::Outbound),
        _ => None,
    }
}

/// The parts of an item that say who is on the other side.
pub(super) struct Sides<'a> {
    /// The message; null without one.
    pub(super) message: &'a Value,
    /// What Kapso adds to it.
    pub(super) kapso: &'a Value,
    /// The conversation; null without one.
    pub(super) conversation: &'a Value,
    /// The first dialect's description of our number; null without one.
    pub(super) config: &'a Value,
}

impl Sides<'_> {
    /// Our numbers, as the item tells them.
    fn ours(&self, direction: Option<Direction>) -> Vec<String> {
        let own_side = match direction {
            Some(Direction::Inbound) => phone_number(self.message, "to"),
            Some(Direction::Outbound) => phone_number(self.message, "from"),
            None => None,
        };
        phone_number(self.config, "display_phone_number").into_iter().chain(own_side).collect()
    }

    /// Who wrote the message, given what the item says of it: never the person where the number is ours.
    pub(super) fn author(&self, direction: Option<Direction>) -> Option<Direction> {
        let ours = self.ours(direction);
        let from = ["from", "phone_number"].iter().find_map(|field| phone_number(self.message, field));
        match direction {
            Some(Direction::Inbound) if from.is_some_and(|from| ours.contains(&from)) => {
                Some(Direction::Outbound)
            }
            other => other,
        }
    }

    /// All names of the person on the other side. A group's conversation is with nobody in particular.
    pub(super) fn person(&self, direction: Option<Direction>) -> ContactNames {
        let Self { message, kapso, conversation, .. } = self;
        let side = if direction == Some(Direction::Outbound) { "to" } else { "from" };
        let kind = content::kind(message).unwrap_or_default();
        let in_group = is_in_group(message);
        let mut person = Person::beside(&self.ours(direction));
        if kind == "system" && !in_group {
            person = person.notice(content::object(message, &kind));
        }
        if !in_group || direction != Some(Direction::Outbound) {
            person = person
                .number(message, side)
                .user_id(message, &format!("{side}_user_id"))
                .user_id(message, &format!("{side}_parent_user_id"));
        }
        if in_group {
            // The first dialect has the author's number in another field.
            let has_author = text(message, "from").is_some() || text(message, "from_user_id").is_some();
            let is_theirs = direction == Some(Direction::Inbound) && !has_author;
            return if is_theirs { person.number(message, "phone_number") } else { person }.names();
        }
        person
            .number(message, "phone_number")
            .number(kapso, "phone_number")
            .number(message, "conversation_phone_number")
            .number(conversation, "phone_number")
            .user_id(conversation, "business_scoped_user_id")
            .user_id(conversation, "parent_business_scoped_user_id")
            .names()
    }

    /// Whom the conversation is with: nobody in particular where it is a group's.
    pub(super) fn partner(&self, person: &ContactNames) -> ContactNames {
        if is_in_group(self.message) { ContactNames::default() } else { person.clone() }
    }
}

fn is_in_group(message: &Value) -> bool {
    text(message, "group_id").is_some()
}

/// When a message was written. Meta's own time is the best; in Kapso's first dialect an event about the status of a
/// message of ours may carry the status' time in `metadata`.
pub(super) fn written_at(
    message: &Value,
    direction: Option<Direction>,
    received_at: OffsetDateTime,
) -> Moment {
    let created = instant(message, "created_at");
    let noted = || metadata_at(message);
    let kapsos = match direction {
        Some(Direction::Outbound) => created.or_else(noted),
        _ => noted().or(created),
    };
    Moment::new(instant(message, "timestamp").or(kapsos), received_at)
}

/// The time in a message's `metadata`.
pub(super) fn metadata_at(message: &Value) -> Option<OffsetDateTime> {
    instant(message.get("metadata")?, "timestamp")
}

/// What an item tells that changes another message: that message, as far as the item knows it, and the change.
pub(super) fn revised(at: Moment, revision: Revision, message: &Message) -> Facts {
    let original = Message {
        names: revision.of.clone(),
        direction: message.direction,
        conversation: message.conversation.clone(),
        contact: message.contact.clone(),
        phone_number_id: message.phone_number_id.clone(),
        group: message.group.clone(),
        ..Message::default()
    };
    vec![(at, Fact::Message(original)), (at, Fact::Revision(revision))]
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
