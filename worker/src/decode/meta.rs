//! Meta's own dialect, forwarded by Kapso: entries of changes, each with messages, statuses,
//! echoes of what a person wrote on the phone, or imported history.
//! Source: Meta, "WhatsApp Cloud API: Webhooks".

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, phone_number, text},
    status, subject,
};
use crate::event::{Contact, ContactNames, Direction, Fact, Message, Moment, Progress, Status};

/// The origin of what a person wrote on the phone, as Kapso calls it.
const BUSINESS_APP: &str = "business_app";
/// The origin of what was imported, as Kapso calls it.
const HISTORY_SYNC: &str = "history_sync";

/// One change, with what its items share.
struct Change<'a> {
    value: &'a Value,
    metadata: &'a Value,
    place: String,
    received_at: OffsetDateTime,
}

/// Items with their places.
type Items = Vec<(Option<String>, Told)>;

/// Decodes a body: every message and status in it is an item of its own.
pub(super) fn decode(body: &Value, place: Option<&str>, received_at: OffsetDateTime) -> Items {
    let prefix = place.map(|place| format!("{place}.")).unwrap_or_default();
    let mut items = Items::new();
    for (i, entry) in list(body, "entry") {
        for (j, change) in list(entry, "changes") {
            let place = format!("{prefix}entry[{i}].changes[{j}]");
            let Some(value) = filled(change, "value") else {
                items.push((Some(place), Told::Undecodable("the change has no value".to_owned())));
                continue;
            };
            let metadata = value.get("metadata").unwrap_or(&Value::Null);
            let change_of = Change { value, metadata, place, received_at };
            match text(change, "field").as_deref() {
                Some("messages") | None => change_of.messages(&mut items),
                Some("smb_message_echoes" | "message_echoes") => change_of.echoes(&mut items),
                Some("history") => change_of.history(&mut items),
                Some(field) => {
                    let told = subject::of_meta(field, entry, value, received_at);
                    items.push((Some(change_of.place), told));
                }
            }
        }
    }
    items
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

impl Change<'_> {
    fn messages(&self, items: &mut Items) {
        let before = items.len();
        for (index, message) in list(self.value, "messages") {
            let told = self.message(message, Direction::Inbound, None);
            items.push((Some(format!("{}.value.messages[{index}]", self.place)), told));
        }
        for (index, status) in list(self.value, "statuses") {
            items.push((Some(format!("{}.value.statuses[{index}]", self.place)), self.status(status)));
        }
        if items.len() == before {
            // Errors of the account, or nothing at all.
            items.push((Some(self.place.clone()), Told::NotUnderstood));
        }
    }

    fn echoes(&self, items: &mut Items) {
        for (index, message) in list(self.value, "message_echoes") {
            let told = self.message(message, Direction::Outbound, Some(BUSINESS_APP));
            items.push((Some(format!("{}.value.message_echoes[{index}]", self.place)), told));
        }
    }

    /// Imported chats: `history[].threads[].messages[]`.
    fn history(&self, items: &mut Items) {
        for (i, chunk) in list(self.value, "history") {
            for (j, thread) in list(chunk, "threads") {
                for (k, message) in list(thread, "messages") {
                    let place = format!("{}.value.history[{i}].threads[{j}].messages[{k}]", self.place);
                    items.push((Some(place), self.imported(thread, message)));
                }
            }
        }
    }

    fn imported(&self, thread: &Value, message: &Value) -> Told {
        let ours = phone_number(self.metadata, "display_phone_number");
        let theirs = phone_number(thread, "id");
        let from = phone_number(message, "from");
        let outbound = from.is_some() && (from == ours || theirs.is_some() && from != theirs);
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        let Told::Facts(mut facts) = self.message(message, direction, Some(HISTORY_SYNC)) else {
            return Told::Undecodable("it is no JSON object".to_owned());
        };
        for (_, fact) in &mut facts {
            if let Fact::Message(message) = fact {
                message.contact.phone_number = theirs.clone().or(message.contact.phone_number.take());
            }
        }
        let reached =
            message.pointer("/history_context/status").and_then(Value::as_str).map(str::to_lowercase);
        if let (true, Some(progress)) = (outbound, reached.as_deref().and_then(Progress::named)) {
            let names = text(message, "id").into_iter().collect();
            // The import says how far it got, not when.
            let at = Moment::new(None, self.received_at);
            facts.push((at, Fact::Status(Status { names, progress, details: None, error: None })));
        }
        Told::Facts(facts)
    }

    fn message(&self, value: &Value, direction: Direction, origin: Option<&str>) -> Told {
        if !value.is_object() {
            return Told::Undecodable("it is no JSON object".to_owned());
        }
        let at = Moment::new(instant(value, "timestamp"), self.received_at);
        let profile = self.profile(value);
        let contact = names(value, direction, profile);
        let mut message = Message {
            names: text(value, "id").into_iter().collect(),
            direction: Some(direction),
            contact: contact.clone(),
            phone_number_id: text(self.metadata, "phone_number_id"),
            origin: origin.map(str::to_owned),
            written_now: true,
            ..Message::default()
        };
        content::read(value, None, &mut message);
        let from = if direction == Direction::Outbound { ContactNames::default() } else { contact.clone() };
        let body = value.get("reaction").unwrap_or(&Value::Null);
        let reaction = content::reaction(message.kind.as_deref(), body, from);
        let mut facts: Facts = vec![(at, Fact::Message(message))];
        facts.extend(reaction.map(|reaction| (at, Fact::Reaction(reaction))));
        if !contact.ids().is_empty() {
            let known = profile.unwrap_or(&Value::Null);
            let said = known.get("profile").unwrap_or(&Value::Null);
            let username = text(said, "username").or_else(|| text(value, "username"));
            let contact =
                Contact { names: contact, name: text(said, "name"), username, ..Contact::default() };
            facts.push((at, Fact::Contact(contact)));
        }
        Told::Facts(facts)
    }

    /// The change's contact that wrote a message: by number, by BSUID, else the only one.
    fn profile(&self, message: &Value) -> Option<&Value> {
        let contacts = self.value.get("contacts")?.as_array()?;
        let same = |contact: &&Value| {
            let number = phone_number(contact, "wa_id");
            let bsuid = text(contact, "user_id");
            number.is_some() && number == phone_number(message, "from")
                || bsuid.is_some() && bsuid == text(message, "from_user_id")
        };
        contacts.iter().find(same).or_else(|| match contacts.as_slice() {
            [only] if message.get("from").is_none() && message.get("to").is_none() => Some(only),
            _ => None,
        })
    }

    fn status(&self, value: &Value) -> Told {
        if !value.is_object() {
            return Told::Undecodable("it is no JSON object".to_owned());
        }
        let Some((at, status)) = status::read(value, &[], self.received_at) else {
            return Told::NotUnderstood;
        };
        let contact = ContactNames {
            phone_number: phone_number(value, "recipient_id"),
            bsuid: text(value, "recipient_user_id"),
            kapso_id: None,
        };
        let message = Message {
            names: status.names.clone(),
            direction: Some(Direction::Outbound),
            contact,
            phone_number_id: text(self.metadata, "phone_number_id"),
            ..Message::default()
        };
        Told::Facts(vec![(at, Fact::Message(message)), (at, Fact::Status(status))])
    }
}

/// The names of the person on the other side of a message.
fn names(message: &Value, direction: Direction, profile: Option<&Value>) -> ContactNames {
    let field = if direction == Direction::Outbound { "to" } else { "from" };
    let profile = profile.unwrap_or(&Value::Null);
    ContactNames {
        phone_number: phone_number(message, field).or_else(|| phone_number(profile, "wa_id")),
        bsuid: text(message, &format!("{field}_user_id")).or_else(|| text(profile, "user_id")),
        kapso_id: None,
    }
}
