//! Kapso's first dialect: `{message, conversation, whatsapp_config}`, all flat.
//! Source: Kapso's documentation, "Webhooks: Legacy". Its status events are not shown
//! there; a message that we wrote carries its status.

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, phone_number, text},
    kapso::{self, both_names, direction_of, last_message},
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
        let contact = self.contact_names();
        let message_kind = text(self.message, "message_type").or_else(|| text(self.message, "type"));
        let data = self.data(message_kind.as_deref());
        let written_at = self.written_at(direction);
        let message = Message {
            names: names.clone(),
            direction,
            conversation: self.conversation_id(),
            contact: contact.clone(),
            phone_number_id: self.phone_number_id(),
            origin: text(self.message, "origin"),
            body: self.written(message_kind.as_deref(), data),
            media: content::media(None, self.kept().as_ref()),
            context: content::context(self.message),
            content: self.content(message_kind.as_deref(), data),
            kind: message_kind.clone(),
            written_now: true,
        };
        let reaction = content::reaction(&message, data);
        let mut facts: Facts = vec![(written_at, Fact::Message(message))];
        facts.extend(reaction.map(|reaction| (written_at, Fact::Reaction(reaction))));
        if direction == Some(Direction::Outbound) {
            facts.extend(self.status(kind, names));
        }
        facts.extend(self.conversation_facts(&contact, written_at));
        Told::message(message_kind.as_deref(), facts)
    }

    /// What the message holds, by its type: there as it is, or under the type's name.
    fn data(&self, kind: Option<&str>) -> &Value {
        let data = filled(self.message, "message_type_data").unwrap_or(&Value::Null);
        kind.and_then(|kind| filled(data, kind)).unwrap_or(data)
    }

    fn phone_number_id(&self) -> Option<String> {
        text(self.config, "phone_number_id").or_else(|| text(self.item, "phone_number_id"))
    }

    fn direction(&self, kind: &str) -> Option<Direction> {
        match text(self.message, "direction").as_deref() {
            Some("inbound") => Some(Direction::Inbound),
            Some("outbound") => Some(Direction::Outbound),
            _ => direction_of(kind),
        }
    }

    /// When it was written: an event about its status may carry the status' time instead.
    fn written_at(&self, direction: Option<Direction>) -> Moment {
        let created = instant(self.message, "created_at");
        let own = match direction {
            Some(Direction::Outbound) => created.or_else(|| self.metadata_at()),
            _ => self.metadata_at().or(created),
        };
        Moment::new(own, self.received_at)
    }

    fn metadata_at(&self) -> Option<OffsetDateTime> {
        instant(self.message.get("metadata")?, "timestamp")
    }

    /// The person's own words: the first dialect puts its summaries in the same field.
    fn written(&self, kind: Option<&str>, data: &Value) -> Option<String> {
        let content = || text(self.message, "content");
        match kind {
            Some("text" | "button" | "interactive") => content(),
            None if self.message.get("has_media") != Some(&Value::Bool(true)) => content(),
            None | Some("image" | "video" | "audio" | "document" | "sticker") => text(data, "caption"),
            Some("order") => text(data, "text"),
            _ => None,
        }
    }

    fn content(&self, kind: Option<&str>, data: &Value) -> Option<String> {
        let plain = ["text", "image", "video", "audio", "document", "sticker"];
        let kind = kind.filter(|kind| !plain.contains(kind))?;
        let mut content = serde_json::Map::new();
        content.insert(kind.to_owned(), data.clone());
        (!data.is_null()).then(|| Value::Object(content).to_string())
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
        let Some(progress) = claimed.or_else(of_kind) else {
            return Facts::new();
        };
        let own = self.metadata_at().or_else(|| instant(self.message, "updated_at"));
        let metadata = filled(self.message, "metadata").unwrap_or(&Value::Null);
        let error = status::first_error(self.message).or_else(|| status::first_error(metadata));
        let error = error.filter(|_| progress == Progress::Failed);
        let status = Status { names, progress, details: None, error, callback_data: None };
        vec![(Moment::new(own, self.received_at), Fact::Status(status))]
    }

    fn contact_names(&self) -> ContactNames {
        ContactNames {
            phone_number: phone_number(self.message, "phone_number")
                .or_else(|| phone_number(self.message, "conversation_phone_number"))
                .or_else(|| phone_number(self.conversation, "phone_number")),
            ..ContactNames::default()
        }
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
            let conversation = kapso::conversation(id, self.conversation, contact, self.phone_number_id());
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
        let contact = self.contact_names();
        let mut facts = self.conversation_facts(&contact, Moment::new(None, self.received_at));
        kapso::changed(&mut facts, kind, self.item);
        facts.extend(last_message(self.item, self.conversation_id(), &contact, self.phone_number_id()));
        Told::Facts(facts)
    }
}
