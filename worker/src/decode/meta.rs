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
        let place = format!("{prefix}entry[{i}]");
        let before = items.len();
        for (j, change) in list(entry, "changes") {
            let place = format!("{place}.changes[{j}]");
            one_change(entry, change, place, received_at, &mut items);
        }
        if items.len() == before {
            // An entry of another product's, or nothing at all.
            items.push((Some(place), or_no_object(entry, Told::NotUnderstood)));
        }
    }
    items
}

fn one_change(entry: &Value, change: &Value, place: String, received_at: OffsetDateTime, items: &mut Items) {
    let before = items.len();
    let value = filled(change, "value").unwrap_or(&Value::Null);
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let field = text(change, "field");
    let parts = Change { value, metadata, place, received_at };
    match field.as_deref() {
        Some("messages") | None => parts.messages(items),
        Some("smb_message_echoes" | "message_echoes") => parts.echoes(items),
        Some("history") => parts.history(items),
        Some(field) => {
            let told = subject::of_meta(field, entry, value, received_at);
            items.push((Some(parts.place.clone()), told));
        }
    }
    if items.len() == before {
        // Errors of the account, a refusal to share the history, or nothing at all.
        items.push((Some(parts.place), or_no_object(change, Told::NotUnderstood)));
    }
}

fn or_no_object(value: &Value, told: Told) -> Told {
    if value.is_object() { told } else { Told::no_object() }
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

impl Change<'_> {
    fn messages(&self, items: &mut Items) {
        for (index, message) in list(self.value, "messages") {
            let told = self.message(message, Direction::Inbound, None);
            items.push((Some(format!("{}.value.messages[{index}]", self.place)), told));
        }
        for (index, status) in list(self.value, "statuses") {
            items.push((Some(format!("{}.value.statuses[{index}]", self.place)), self.status(status)));
        }
    }

    fn echoes(&self, items: &mut Items) {
        for (index, message) in list(self.value, "message_echoes") {
            let told = self.message(message, Direction::Outbound, Some(BUSINESS_APP));
            items.push((Some(format!("{}.value.message_echoes[{index}]", self.place)), told));
        }
    }

    /// Imported chats: `history[].threads[].messages[]`; their files follow as `messages[]`.
    fn history(&self, items: &mut Items) {
        for (i, chunk) in list(self.value, "history") {
            for (j, thread) in list(chunk, "threads") {
                for (k, message) in list(thread, "messages") {
                    let place = format!("{}.value.history[{i}].threads[{j}].messages[{k}]", self.place);
                    items.push((Some(place), self.imported(thread, message)));
                }
            }
        }
        for (index, message) in list(self.value, "messages") {
            let place = format!("{}.value.messages[{index}]", self.place);
            items.push((Some(place), self.imported(&Value::Null, message)));
        }
    }

    fn imported(&self, thread: &Value, message: &Value) -> Told {
        let ours = phone_number(self.metadata, "display_phone_number");
        let theirs = phone_number(thread, "id");
        let outbound = match phone_number(message, "from") {
            Some(from) => ours.as_ref() == Some(&from) || theirs.as_ref().is_some_and(|id| *id != from),
            None => phone_number(message, "to").is_some(),
        };
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        let mut told = self.message(message, direction, Some(HISTORY_SYNC));
        if let Told::Facts(facts) | Told::InPart(facts) = &mut told {
            for (_, fact) in facts.iter_mut() {
                if let Fact::Message(message) = fact {
                    message.contact.phone_number = theirs.clone().or(message.contact.phone_number.take());
                }
            }
            if outbound {
                facts.extend(self.reached(message));
            }
        }
        told
    }

    /// How far an imported message of ours got. The import does not say when.
    fn reached(&self, message: &Value) -> Option<(Moment, Fact)> {
        let status = message.pointer("/history_context/status")?.as_str()?.to_lowercase();
        let progress = if status == "error" { Some(Progress::Failed) } else { Progress::named(&status) };
        let names: Vec<String> = text(message, "id").into_iter().collect();
        let error = status::first_error(message);
        let status = Status { names, progress: progress?, details: None, error, callback_data: None };
        Some((Moment::new(None, self.received_at), Fact::Status(status)))
    }

    fn message(&self, value: &Value, direction: Direction, origin: Option<&str>) -> Told {
        if !value.is_object() {
            return Told::no_object();
        }
        let at = Moment::new(instant(value, "timestamp"), self.received_at);
        let profile = self.profile(value, direction);
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
        let reaction = content::reaction(&message, value.get("reaction").unwrap_or(&Value::Null));
        let kind = message.kind.clone();
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
        Told::message(kind.as_deref(), facts)
    }

    /// The change's contact on the other side of a message: by number, by BSUID, else the
    /// only one.
    fn profile(&self, message: &Value, direction: Direction) -> Option<&Value> {
        let contacts = self.value.get("contacts")?.as_array()?;
        let named = names(message, direction, None);
        let same = |contact: &&Value| {
            let number = phone_number(contact, "wa_id");
            let bsuid = text(contact, "user_id");
            number.is_some() && number == named.phone_number || bsuid.is_some() && bsuid == named.bsuid
        };
        contacts.iter().find(same).or_else(|| match contacts.as_slice() {
            [only] if named.ids().is_empty() => Some(only),
            _ => None,
        })
    }

    fn status(&self, value: &Value) -> Told {
        if !value.is_object() {
            return Told::no_object();
        }
        if text(value, "id").is_none() {
            return Told::Undecodable("the status names no message".to_owned());
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
