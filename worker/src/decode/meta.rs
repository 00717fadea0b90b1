//! Meta's own dialect, forwarded by Kapso: entries of changes, each with messages, statuses,
//! echoes of what a person wrote on the phone, or imported history.
//! Source: Meta, "WhatsApp Cloud API: Webhooks".

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told, content,
    instant::instant,
    json::{filled, phone_number, text},
    kapso, meta_people,
    person::Person,
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
        Some(field @ ("user_id_update" | "user_preferences")) => {
            let read =
                if field == "user_preferences" { meta_people::preference } else { meta_people::id_changed };
            for (index, item) in list(value, field) {
                let place = format!("{}.value.{field}[{index}]", parts.place);
                items.push((Some(place), read(entry, item, received_at)));
            }
        }
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

/// A field's list, with the place of each in it.
fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

impl Change<'_> {
    fn messages(&self, items: &mut Items) {
        for (index, message) in list(self.value, "messages") {
            let told = self.message(message, self.author(message), None);
            items.push((Some(format!("{}.value.messages[{index}]", self.place)), told));
        }
        for (index, status) in list(self.value, "statuses") {
            items.push((Some(format!("{}.value.statuses[{index}]", self.place)), self.status(status)));
        }
    }

    /// Who wrote one of `messages[]`: the person, unless its number is ours or Kapso says otherwise.
    fn author(&self, message: &Value) -> Direction {
        let kapsos = message.pointer("/kapso/direction").and_then(Value::as_str);
        let from = phone_number(message, "from");
        let is_ours = kapsos == Some("outbound") || (from.is_some() && from == self.our_number());
        if is_ours { Direction::Outbound } else { Direction::Inbound }
    }

    fn our_number(&self) -> Option<String> {
        phone_number(self.metadata, "display_phone_number")
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
        let ours = self.our_number();
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
                    in_thread_with(&mut message.contact, theirs.as_ref());
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
        let named = self.person(value, direction);
        let profile = self.profile(&named.ids(), || self.one_author(direction));
        let contact = self.with_profile(value, direction, profile);
        let kept = filled(value, "kapso").and_then(content::kept_by_kapso);
        let mut message = Message {
            names: text(value, "id").into_iter().collect(),
            direction: Some(direction),
            contact: contact.clone(),
            phone_number_id: text(self.metadata, "phone_number_id"),
            origin: origin.map(str::to_owned),
            written_now: true,
            ..Message::default()
        };
        content::read(value, kept.as_ref(), &mut message);
        let reaction = content::reaction(&message, value.get("reaction").unwrap_or(&Value::Null));
        let kind = message.kind.clone();
        let mut facts: Facts = match content::revision(value) {
            Some(revision) => kapso::revised(at, revision, &message),
            None => vec![(at, Fact::Message(message))],
        };
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

    /// The names that a message itself gives for the person on its other side.
    fn person(&self, message: &Value, direction: Direction) -> ContactNames {
        self.names(message, direction).names()
    }

    /// Those, and the ones of the person's profile.
    fn with_profile(&self, message: &Value, direction: Direction, profile: Option<&Value>) -> ContactNames {
        let profile = profile.unwrap_or(&Value::Null);
        let names = self.names(message, direction);
        names.number(profile, "wa_id").user_id(profile, "user_id").user_id(profile, "parent_user_id").names()
    }

    fn names(&self, message: &Value, direction: Direction) -> Person {
        let ours: Vec<String> = self.our_number().into_iter().collect();
        let person = Person::beside(&ours);
        let in_group = text(message, "group_id").is_some();
        let side = match direction {
            Direction::Inbound => "from",
            // What we write in a group is to nobody in particular.
            Direction::Outbound if in_group => return person,
            Direction::Outbound => "to",
        };
        let is_notice = !in_group && text(message, "type").as_deref() == Some("system");
        let notice = message.get("system").filter(|_| is_notice).unwrap_or(&Value::Null);
        person
            .notice(notice)
            .number(message, side)
            .user_id(message, &format!("{side}_user_id"))
            .user_id(message, &format!("{side}_parent_user_id"))
    }

    /// The change's contact that has one of these names; else the only one, if everything in the change is of one person:
    /// `wa_id` can be another form of the number in `from`.
    fn profile(&self, named: &[String], of_one_person: impl Fn() -> bool) -> Option<&Value> {
        let ours = self.our_number();
        let contacts = self.value.get("contacts")?.as_array()?;
        let is_ours = |contact: &Value| ours.is_some() && phone_number(contact, "wa_id") == ours;
        let theirs = contacts.iter().filter(|contact| !is_ours(contact));
        let theirs: Vec<&Value> = theirs.collect();
        let same = |contact: &&&Value| {
            let person = Person::default().number(contact, "wa_id").user_id(contact, "user_id");
            let ids = person.user_id(contact, "parent_user_id").names().ids();
            ids.iter().any(|id| named.contains(id))
        };
        theirs.iter().find(same).copied().or_else(|| match theirs.as_slice() {
            [only] if of_one_person() => Some(*only),
            _ => None,
        })
    }

    /// Whether all messages of the change name the same person on their other side.
    fn one_author(&self, direction: Direction) -> bool {
        let messages = list(self.value, "messages").chain(list(self.value, "message_echoes"));
        let mut named = messages.map(|(_, message)| self.person(message, direction));
        let first = named.next();
        named.all(|names| Some(&names) == first.as_ref())
    }

    /// Whether all statuses of the change name the same recipient.
    fn one_recipient(&self) -> bool {
        let mut named = list(self.value, "statuses").map(|(_, status)| recipient(status));
        let first = named.next();
        named.all(|names| Some(&names) == first.as_ref())
    }

    fn status(&self, value: &Value) -> Told {
        if !value.is_object() {
            return Told::no_object();
        }
        if text(value, "id").is_none() {
            return Told::Undecodable("the status names no message".to_owned());
        }
        let told = status::read(value, &[], self.received_at);
        if told.is_none() && !status::is_of_payment(value) {
            return Told::NotUnderstood;
        }
        let named = recipient(value);
        let profile =
            if is_to_a_group(value) { None } else { self.profile(&named.ids(), || self.one_recipient()) };
        let profile = profile.unwrap_or(&Value::Null);
        let contact = recipient_of(value).number(profile, "wa_id").user_id(profile, "user_id");
        let message = Message {
            names: text(value, "id").into_iter().collect(),
            direction: Some(Direction::Outbound),
            contact: contact.user_id(profile, "parent_user_id").names(),
            phone_number_id: text(self.metadata, "phone_number_id"),
            group: group_of(value),
            ..Message::default()
        };
        let at = Moment::new(instant(value, "timestamp"), self.received_at);
        let mut facts: Facts = vec![(at, Fact::Message(message))];
        facts.extend(told.map(|(at, status)| (at, Fact::Status(status))));
        Told::Facts(facts)
    }
}

/// A thread is called by the number of the person that it is with.
fn in_thread_with(person: &mut ContactNames, theirs: Option<&String>) {
    let Some(theirs) = theirs else { return };
    let told = person.phone_number.replace(theirs.clone());
    person.others.extend(told.filter(|told| told != theirs));
}

/// The names that a status gives for the recipient. A group is nobody in particular.
fn recipient(status: &Value) -> ContactNames {
    recipient_of(status).names()
}

fn recipient_of(status: &Value) -> Person {
    if is_to_a_group(status) {
        return Person::default();
    }
    Person::default()
        .number(status, "recipient_id")
        .user_id(status, "recipient_user_id")
        .user_id(status, "recipient_parent_user_id")
}

fn is_to_a_group(status: &Value) -> bool {
    text(status, "recipient_type").as_deref() == Some("group") || text(status, "group_id").is_some()
}

/// The group that a status' message was sent to. Source: Meta, "Groups API: webhooks": the recipient is the group.
fn group_of(status: &Value) -> Option<String> {
    text(status, "group_id").or_else(|| text(status, "recipient_id").filter(|_| is_to_a_group(status)))
}
