//! Kapso's second dialect, and today's: `{message, conversation, phone_number_id}`.
//! The kind is in a header, or in the wrapper of a batch; what the body says beats it.
//! Source: Kapso's documentation, "Webhooks: Event types" and "Message events".

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, text},
    kapso::{self, Sides, both_names, direction_of, last_message},
    person::Person,
    status, subject,
};
use crate::event::{Contact, ContactNames, Direction, Fact, Message, Moment, Progress, Status};

/// The parts of an item that its facts are told from.
struct Parts<'a> {
    item: &'a Value,
    message: &'a Value,
    /// What Kapso adds to Meta's message; early versions had it flat on the message.
    kapso: &'a Value,
    conversation: &'a Value,
    received_at: OffsetDateTime,
}

/// Decodes an item. `kind` is without `whatsapp.`.
pub(super) fn decode(item: &Value, kind: &str, received_at: OffsetDateTime) -> Told {
    let message = filled(item, "message").unwrap_or(&Value::Null);
    let parts = Parts {
        item,
        message,
        kapso: filled(message, "kapso").unwrap_or(message),
        conversation: filled(item, "conversation").unwrap_or(&Value::Null),
        received_at,
    };
    if message.is_object() {
        return parts.message(kind);
    }
    match kind {
        "contact.identity_changed" | "contact.marketing_preference_changed" => parts.contact_changed(),
        "conversation.created" | "conversation.ended" | "conversation.inactive" => {
            parts.conversation_changed(kind)
        }
        _ if direction_of(kind).is_some() => {
            Told::Undecodable(format!("the event {kind} carries no message"))
        }
        _ => match subject::decode(item, kind, received_at) {
            Told::NotUnderstood => parts.of_unknown_kind(kind),
            told => told,
        },
    }
}

impl Parts<'_> {
    fn message(&self, kind: &str) -> Told {
        let names = both_names(self.message);
        let direction = self.direction(kind);
        let written_at = kapso::written_at(self.message, direction, self.received_at);
        let contact = self.sides().person(direction);
        let mut message = Message {
            names: names.clone(),
            direction,
            conversation: self.conversation_id(),
            contact: contact.clone(),
            phone_number_id: self.phone_number_id(),
            origin: self.of_kapso("origin"),
            written_now: true,
            ..Message::default()
        };
        content::read(self.message, content::kept_by_kapso(self.kapso).as_ref(), &mut message);
        // Early versions had the text flat on the message, as the first dialect has.
        if message.kind.as_deref() == Some("text") {
            message.body = message.body.or_else(|| text(self.message, "content"));
        }
        let reaction = content::reaction(&message, self.message.get("reaction").unwrap_or(&Value::Null));
        let message_kind = message.kind.clone();
        let mut facts: Facts = match content::revision(self.message) {
            Some(revision) => kapso::revised(written_at, revision, &message),
            None => vec![(written_at, Fact::Message(message))],
        };
        facts.extend(reaction.map(|reaction| (written_at, Fact::Reaction(reaction))));
        if direction == Some(Direction::Outbound) {
            facts.extend(self.statuses(kind, &names, written_at));
        }
        facts.extend(self.conversation_facts(&contact, written_at));
        Told::message(message_kind.as_deref(), facts)
    }

    fn sides(&self) -> Sides<'_> {
        Sides {
            message: self.message,
            kapso: self.kapso,
            conversation: self.conversation,
            config: filled(self.item, "whatsapp_config").unwrap_or(&Value::Null),
        }
    }

    /// A text of what Kapso adds, there or flat on the message.
    fn of_kapso(&self, field: &str) -> Option<String> {
        text(self.kapso, field).or_else(|| text(self.message, field))
    }

    /// Meta's status objects.
    fn listed(&self) -> impl Iterator<Item = &Value> {
        self.kapso.get("statuses").and_then(Value::as_array).into_iter().flatten()
    }

    /// Who wrote it: the body knows better than the kind, which no signature covers.
    fn direction(&self, kind: &str) -> Option<Direction> {
        let says = |fields: [&str; 2]| fields.iter().any(|field| text(self.message, field).is_some());
        let (from, to) = (says(["from", "from_user_id"]), says(["to", "to_user_id"]));
        let told = match self.of_kapso("direction").as_deref() {
            Some("inbound") => Some(Direction::Inbound),
            Some("outbound") => Some(Direction::Outbound),
            // Meta tells statuses of our messages only.
            _ if self.listed().next().is_some() => Some(Direction::Outbound),
            _ if to && !from => Some(Direction::Outbound),
            _ => direction_of(kind).or_else(|| from.then_some(Direction::Inbound)),
        };
        self.sides().author(told)
    }

    /// The statuses that the body lists; the one that it claims, unless it is listed; and
    /// the kind's, where the body is silent.
    fn statuses(&self, kind: &str, names: &[String], written_at: Moment) -> Facts {
        let mut statuses: Vec<(Moment, Status)> =
            self.listed().filter_map(|value| status::read(value, names, self.received_at)).collect();
        // What a payment came to is told in the same words, and claims nothing of the message.
        let of_payment = |progress: &Progress| {
            let payments = self.listed().filter(|value| status::is_of_payment(value));
            payments.filter_map(|value| text(value, "status")).any(|status| status == progress.name())
        };
        let claimed = self.of_kapso("status").as_deref().and_then(Progress::named);
        let claimed = claimed.filter(|progress| !of_payment(progress));
        let of_kind = || kind.strip_prefix("message.").and_then(Progress::named);
        let progress = if self.listed().next().is_none() { claimed.or_else(of_kind) } else { claimed };
        if let Some(progress) = progress
            && !statuses.iter().any(|(_, status)| status.progress == progress)
        {
            // Only when it was sent does the message's own time say when.
            let at =
                if progress == Progress::Sent { written_at } else { Moment::new(None, self.received_at) };
            let error = || status::first_error(self.message).or_else(|| status::first_error(self.kapso));
            let error = (progress == Progress::Failed).then(error).flatten();
            statuses.push((
                at,
                Status { names: names.to_vec(), progress, details: None, error, callback_data: None },
            ));
        }
        statuses.into_iter().map(|(at, status)| (at, Fact::Status(status))).collect()
    }

    fn conversation_id(&self) -> Option<String> {
        text(self.conversation, "id").or_else(|| self.of_kapso("whatsapp_conversation_id"))
    }

    fn phone_number_id(&self) -> Option<String> {
        text(self.item, "phone_number_id")
            .or_else(|| text(self.conversation, "phone_number_id"))
            .or_else(|| self.of_kapso("phone_number_id"))
            .or_else(|| text(self.sides().config, "phone_number_id"))
    }

    /// When the snapshot of the conversation was taken; else `otherwise`.
    fn snapshot_at(&self, otherwise: Moment) -> Moment {
        instant(self.conversation, "updated_at").map_or(otherwise, |at| Moment { at, timed: true })
    }

    /// What the conversation's snapshot tells of it and of its contact.
    fn conversation_facts(&self, contact: &ContactNames, otherwise: Moment) -> Facts {
        let at = self.snapshot_at(otherwise);
        let mut facts = Facts::new();
        if let Some(id) = self.conversation_id() {
            let partner = self.sides().partner(contact);
            let conversation = kapso::conversation(id, self.conversation, &partner, self.phone_number_id());
            facts.push((at, Fact::Conversation(conversation)));
        }
        if !contact.ids().is_empty() {
            let of_kapso = || self.conversation.get("kapso").and_then(|kapso| text(kapso, "contact_name"));
            let contact = Contact {
                names: contact.clone(),
                name: text(self.conversation, "contact_name")
                    .or_else(of_kapso)
                    .or_else(|| self.of_kapso("contact_name")),
                username: text(self.message, "username").or_else(|| text(self.conversation, "username")),
                ..Contact::default()
            };
            facts.push((at, Fact::Contact(contact)));
        }
        facts
    }

    /// What an event of a kind that we do not know says all the same: the snapshots in it.
    fn of_unknown_kind(&self, kind: &str) -> Told {
        let told = if self.conversation_id().is_some() {
            self.conversation_changed(kind)
        } else {
            self.contact_changed()
        };
        match told {
            Told::Facts(facts) => Told::InPart(facts),
            _ => Told::NotUnderstood,
        }
    }

    fn conversation_changed(&self, kind: &str) -> Told {
        if self.conversation_id().is_none() {
            return Told::Undecodable(format!("the event {kind} names no conversation"));
        }
        let at = self.snapshot_at(Moment::new(None, self.received_at));
        let contact = self.sides().person(None);
        let mut facts = self.conversation_facts(&contact, at);
        kapso::changed(&mut facts, kind, self.item);
        facts.extend(last_message(self.item, self.conversation_id(), &contact, self.phone_number_id()));
        Told::Facts(facts)
    }

    fn contact_changed(&self) -> Told {
        let described = filled(self.item, "contact").unwrap_or(&Value::Null);
        let preference = filled(self.item, "marketing_preference").unwrap_or(&Value::Null);
        let previous = filled(self.item, "previous").unwrap_or(&Value::Null);
        let names = Person::default()
            .number(described, "wa_id")
            .number(described, "phone_number")
            .user_id(described, "business_scoped_user_id")
            .user_id(described, "parent_business_scoped_user_id")
            .kapso_id(described, "id")
            .names();
        if names.ids().is_empty() {
            return Told::Undecodable("the event names no contact".to_owned());
        }
        let former = Person::default()
            .number(previous, "wa_id")
            .user_id(previous, "business_scoped_user_id")
            .user_id(previous, "parent_business_scoped_user_id")
            .names();
        let name = text(described, "display_name").or_else(|| text(described, "profile_name"));
        let contact = Contact {
            names: names.clone(),
            former,
            name,
            username: text(described, "username"),
            created_at: instant(described, "created_at"),
            ..Contact::default()
        };
        let at = Moment::new(instant(described, "updated_at"), self.received_at);
        let mut facts: Facts = vec![(at, Fact::Contact(contact))];
        if let Some(marketing) = text(preference, "status") {
            let at = instant(preference, "occurred_at").map_or(at, |at| Moment { at, timed: true });
            let contact = Contact { names, marketing: Some(marketing), ..Contact::default() };
            facts.push((at, Fact::Contact(contact)));
        }
        Told::Facts(facts)
    }
}
