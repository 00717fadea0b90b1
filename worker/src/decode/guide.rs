//! The customer's guide: `{event_type, conversation_id, message_id, timestamp, payload}`.
//!
//! `message_id` and `timestamp` may be missing. The guide does not show the payloads of
//! `message.failed`, `contact.*` and `conversation.*`; the likely fields are read there.

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, phone_number, text},
    kapso,
    person::Person,
    status,
};
use crate::event::{Contact, ContactNames, Conversation, Direction, Fact, Message, Moment, Progress, Status};

/// The parts of a webhook that its event is told from.
struct Parts<'a> {
    body: &'a Value,
    payload: &'a Value,
    received_at: OffsetDateTime,
}

/// Decodes a body of the guide.
pub(super) fn decode(body: &Value, received_at: OffsetDateTime) -> Told {
    let parts = Parts { body, payload: body.get("payload").unwrap_or(&Value::Null), received_at };
    let kind = text(body, "event_type").unwrap_or_default();
    // The guide's author later saw the kinds with Kapso's prefix too.
    match kind.strip_prefix("whatsapp.").unwrap_or(&kind) {
        "message.received" => parts.received(),
        "message.sent" => Told::Facts(parts.status(Progress::Sent)),
        "message.delivered" => Told::Facts(parts.status(Progress::Delivered)),
        "message.read" => Told::Facts(parts.status(Progress::Read)),
        "message.failed" => Told::Facts(parts.status(Progress::Failed)),
        "conversation.status_changed" => parts.conversation_changed(),
        "contact.created" => parts.contact(instant(body, "timestamp")),
        "contact.updated" => parts.contact(None),
        _ => Told::NotUnderstood,
    }
}

impl Parts<'_> {
    /// When the event happened.
    fn event_at(&self) -> Moment {
        let own = instant(self.body, "timestamp").or_else(|| instant(self.payload, "timestamp"));
        Moment::new(own, self.received_at)
    }

    /// When the message was written: the payload knows better than the event.
    fn written_at(&self) -> Moment {
        let own = instant(self.payload, "timestamp").or_else(|| instant(self.body, "timestamp"));
        Moment::new(own, self.received_at)
    }

    fn message_names(&self) -> Vec<String> {
        let in_payload = || text(self.payload, "message_id").or_else(|| text(self.payload, "id"));
        text(self.body, "message_id").or_else(in_payload).into_iter().collect()
    }

    fn conversation_id(&self) -> Option<String> {
        text(self.body, "conversation_id").or_else(|| text(self.payload, "conversation_id"))
    }

    /// The object that describes the contact: the payload's `contact`, or the payload itself.
    fn payload_contact(&self) -> &Value {
        filled(self.payload, "contact").unwrap_or(self.payload)
    }

    fn received(&self) -> Told {
        let written_at = self.written_at();
        let described = filled(self.payload, "contact").unwrap_or(&Value::Null);
        // What is written to our number is not written by it.
        let ours: Vec<String> = phone_number(self.payload, "to").into_iter().collect();
        let outbound = text(self.payload, "direction").as_deref() == Some("outbound")
            || phone_number(self.payload, "from").is_some_and(|from| ours.contains(&from));
        let message_kind = content::kind(self.payload).unwrap_or_default();
        let in_group = text(self.payload, "group_id").is_some();
        let mut person = Person::beside(&ours);
        if message_kind == "system" && !in_group {
            person = person.notice(content::object(self.payload, &message_kind));
        }
        person = person.number(self.payload, "from");
        if !in_group {
            person = person.number(described, "phone_number");
        }
        let contact = person.kapso_id(described, "id").names();
        let mut message = Message {
            names: self.message_names(),
            direction: Some(if outbound { Direction::Outbound } else { Direction::Inbound }),
            conversation: self.conversation_id(),
            contact: contact.clone(),
            written_now: true,
            ..Message::default()
        };
        content::read(self.payload, filled(self.payload, "media"), &mut message);
        // Of another type it is Kapso's summary, and not what the person wrote.
        if message.kind.as_deref().is_none_or(|kind| kind == "text") {
            message.body = message.body.or_else(|| text(self.payload, "content"));
        }
        let kind = message.kind.clone();
        let mut facts = match content::revision(self.payload) {
            Some(revision) => kapso::revised(written_at, revision, &message),
            None => vec![(written_at, Fact::Message(message))],
        };
        if let Some(id) = self.conversation_id() {
            let last_active_at = written_at.timed.then_some(written_at.at);
            // A group's conversation is with nobody in particular.
            let partner = if in_group { ContactNames::default() } else { contact.clone() };
            let conversation = Conversation { id, contact: partner, last_active_at, ..Default::default() };
            facts.push((written_at, Fact::Conversation(conversation)));
        }
        if !contact.ids().is_empty() {
            let name = text(described, "display_name").or_else(|| text(described, "name"));
            let contact = Contact { names: contact, name, ..Contact::default() };
            facts.push((written_at, Fact::Contact(contact)));
        }
        Told::message(kind.as_deref(), facts)
    }

    fn status(&self, progress: Progress) -> Facts {
        let at = self.event_at();
        let is_of_payment = status::is_of_payment(self.payload);
        let error = status::first_error(self.payload).filter(|_| progress == Progress::Failed);
        let message = Message {
            names: self.message_names(),
            direction: Some(Direction::Outbound),
            conversation: self.conversation_id(),
            contact: Person::default().number(self.payload, "to").names(),
            kind: text(self.payload, "message_type"),
            body: text(self.payload, "content"),
            ..Message::default()
        };
        let status =
            Status { names: self.message_names(), progress, details: None, error, callback_data: None };
        let mut facts = vec![(at, Fact::Message(message))];
        if !is_of_payment {
            facts.push((at, Fact::Status(status)));
        }
        facts
    }

    fn conversation_changed(&self) -> Told {
        let Some(id) = self.conversation_id() else {
            return Told::Undecodable("the event names no conversation_id".to_owned());
        };
        let at = self.event_at();
        let status = text(self.payload, "status");
        let ended_at = (at.timed && status.as_deref() == Some("ended")).then_some(at.at);
        let conversation = Conversation { id, status, ended_at, ..Conversation::default() };
        Told::Facts(vec![(at, Fact::Conversation(conversation))])
    }

    fn contact(&self, created_at: Option<OffsetDateTime>) -> Told {
        let described = self.payload_contact();
        let names = Person::default()
            .number(described, "phone_number")
            .number(self.payload, "from")
            .kapso_id(described, "id")
            .kapso_id(self.payload, "contact_id")
            .names();
        if names.ids().is_empty() {
            let why = "the event names no contact: neither payload.contact.id nor a phone_number";
            return Told::Undecodable(why.to_owned());
        }
        let name = text(described, "display_name").or_else(|| text(described, "name"));
        let created_at = instant(described, "created_at").or(created_at);
        let contact = Contact { names, name, created_at, ..Contact::default() };
        Told::Facts(vec![(self.event_at(), Fact::Contact(contact))])
    }
}
