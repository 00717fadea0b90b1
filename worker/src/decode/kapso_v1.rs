//! Kapso's first dialect: `{message, conversation, whatsapp_config}`, all flat.
//! Source: Kapso's documentation, "Webhooks: Legacy". Its status events are not shown
//! there; a message that we wrote carries its status.

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, text},
    kapso::{self, Sides, both_names, direction_of, last_message},
    status, subject,
};
use crate::event::{Contact, ContactNames, Direction, Fact, Message, Moment, Progress, Status};

/// The parts of an item that its facts are told from.
struct Parts<'a> {
    item: &'a Value,
    message: &'a Value,
    conversation: &'a Value,
    config: &'a Value,
    received_at: OffsetDateTime,
}

/// Decodes an item. `kind` is without `whatsapp.`.
pub(super) fn decode(item: &Value, kind: &str, received_at: OffsetDateTime) -> Told {
    let part = |field| filled(item, field).unwrap_or(&Value::Null);
    let parts = Parts {
        item,
        message: part("message"),
        conversation: part("conversation"),
        config: part("whatsapp_config"),
        received_at,
    };
    if parts.message.is_object() {
        return parts.message(kind);
    }
    match kind {
        "conversation.created" | "conversation.ended" | "conversation.inactive" => {
            parts.conversation_changed(kind)
        }
        _ if direction_of(kind).is_some() => {
            Told::Undecodable(format!("the event {kind} carries no message"))
        }
        _ => match (subject::decode(item, kind, received_at), parts.conversation_changed(kind)) {
            // What an event of a kind that we do not know says all the same.
            (Told::NotUnderstood, Told::Facts(facts)) => Told::InPart(facts),
            (told, _) => told,
        },
    }
}

impl Parts<'_> {
    fn message(&self, kind: &str) -> Told {
        let names = both_names(self.message);
        let direction = self.direction(kind);
        let contact = self.sides().person(direction);
        let written_at = kapso::written_at(self.message, direction, self.received_at);
        let mut message = Message {
            names: names.clone(),
            direction,
            conversation: self.conversation_id(),
            contact: contact.clone(),
            phone_number_id: self.phone_number_id(),
            origin: text(self.message, "origin"),
            written_now: true,
            ..Message::default()
        };
        content::read(self.message, self.kept().as_ref(), &mut message);
        message.body = message.body.or_else(|| self.content(message.kind.as_deref()));
        let message_kind = message.kind.clone();
        let data = content::object(self.message, message_kind.as_deref().unwrap_or_default());
        let reaction = content::reaction(&message, data);
        let mut facts: Facts = match content::revision(self.message) {
            Some(revision) => kapso::revised(written_at, revision, &message),
            None => vec![(written_at, Fact::Message(message))],
        };
        facts.extend(reaction.map(|reaction| (written_at, Fact::Reaction(reaction))));
        if direction == Some(Direction::Outbound) {
            facts.extend(self.status(kind, names));
        }
        facts.extend(self.conversation_facts(&contact, written_at));
        Told::message(message_kind.as_deref(), facts)
    }

    fn sides(&self) -> Sides<'_> {
        Sides {
            message: self.message,
            kapso: &Value::Null,
            conversation: self.conversation,
            config: self.config,
        }
    }

    fn phone_number_id(&self) -> Option<String> {
        text(self.config, "phone_number_id").or_else(|| text(self.item, "phone_number_id"))
    }

    fn direction(&self, kind: &str) -> Option<Direction> {
        let told = match text(self.message, "direction").as_deref() {
            Some("inbound") => Some(Direction::Inbound),
            Some("outbound") => Some(Direction::Outbound),
            _ => direction_of(kind),
        };
        self.sides().author(told)
    }

    /// The person's own words, where the message's object is silent: the first dialect puts its summaries in the same
    /// field, so that of a button it is taken only where nothing describes what was pressed.
    fn content(&self, kind: Option<&str>) -> Option<String> {
        let has_media = self.message.get("has_media") == Some(&Value::Bool(true));
        match kind {
            Some("text") => text(self.message, "content"),
            Some(kind @ ("button" | "interactive")) if content::object(self.message, kind).is_null() => {
                text(self.message, "content")
            }
            None if !has_media => text(self.message, "content"),
            _ => None,
        }
    }

    fn kept(&self) -> Option<Value> {
        let mut kept = content::kept_by_kapso(self.message)?;
        if let (Some(fields), Some(kind)) = (kept.as_object_mut(), text(self.message, "mime_type")) {
            fields.entry("content_type").or_insert(Value::String(kind));
        }
        Some(kept)
    }

    fn status(&self, kind: &str, names: Vec<String>) -> Facts {
        let claimed = text(self.message, "status").as_deref().and_then(Progress::named);
        let of_kind = || kind.strip_prefix("message.").and_then(Progress::named);
        let metadata = filled(self.message, "metadata").unwrap_or(&Value::Null);
        let is_of_payment = status::is_of_payment(self.message) || status::is_of_payment(metadata);
        let Some(progress) = claimed.or_else(of_kind).filter(|_| !is_of_payment) else {
            return Facts::new();
        };
        let own = kapso::metadata_at(self.message).or_else(|| instant(self.message, "updated_at"));
        let error = status::first_error(self.message).or_else(|| status::first_error(metadata));
        let error = error.filter(|_| progress == Progress::Failed);
        let status = Status { names, progress, details: None, error, callback_data: None };
        vec![(Moment::new(own, self.received_at), Fact::Status(status))]
    }

    fn conversation_id(&self) -> Option<String> {
        text(self.conversation, "id").or_else(|| text(self.message, "whatsapp_conversation_id"))
    }

    fn conversation_facts(&self, contact: &ContactNames, otherwise: Moment) -> Facts {
        let own =
            instant(self.conversation, "updated_at").or_else(|| instant(self.conversation, "last_active_at"));
        let at = own.map_or(otherwise, |at| Moment { at, timed: true });
        let mut facts = Facts::new();
        if let Some(id) = self.conversation_id() {
            let partner = self.sides().partner(contact);
            let conversation = kapso::conversation(id, self.conversation, &partner, self.phone_number_id());
            facts.push((at, Fact::Conversation(conversation)));
        }
        if !contact.ids().is_empty() {
            let name = text(self.conversation, "contact_name").or_else(|| text(self.message, "contact_name"));
            facts.push((at, Fact::Contact(Contact { names: contact.clone(), name, ..Contact::default() })));
        }
        facts
    }

    fn conversation_changed(&self, kind: &str) -> Told {
        if self.conversation_id().is_none() {
            return Told::Undecodable(format!("the event {kind} names no conversation"));
        }
        let contact = self.sides().person(None);
        let mut facts = self.conversation_facts(&contact, Moment::new(None, self.received_at));
        kapso::changed(&mut facts, kind, self.item);
        facts.extend(last_message(self.item, self.conversation_id(), &contact, self.phone_number_id()));
        Told::Facts(facts)
    }
}
