//! Meta's changes that are about people: another user id, and what they want of advertising.
//! Source: Meta, "Webhooks: `user_id_update`" and "`user_preferences`".

use serde_json::Value;
use time::OffsetDateTime;

use super::{Told, instant::instant, json::text, person::Person};
use crate::event::{Contact, ContactNames, Fact, Moment};

/// Decodes an item of `user_id_update`: the previous and the current user id of a person.
pub(super) fn id_changed(entry: &Value, update: &Value, received_at: OffsetDateTime) -> Told {
    // Each id is there as it is, or as what it was and what it is.
    let changed = |person: Person, field: &str, side: &str| match update.get(field) {
        Some(ids) if ids.is_object() => person.user_id(ids, side),
        _ if side == "current" => person.user_id(update, field),
        _ => person.user_id(update, &format!("previous_{field}")),
    };
    let named = Person::default().number(update, "wa_id");
    let named = changed(changed(named, "user_id", "current"), "parent_user_id", "current");
    let former = changed(changed(Person::default(), "user_id", "previous"), "parent_user_id", "previous");
    let contact = Contact { names: named.names(), former: former.names(), ..Contact::default() };
    told(entry, update, contact, received_at)
}

/// Decodes an item of `user_preferences`: whether a person wants advertising.
pub(super) fn preference(entry: &Value, preference: &Value, received_at: OffsetDateTime) -> Told {
    let names = Person::default()
        .number(preference, "wa_id")
        .user_id(preference, "user_id")
        .user_id(preference, "parent_user_id")
        .names();
    let category = text(preference, "category");
    // In the words of Kapso's own event.
    let marketing = match text(preference, "value").as_deref() {
        _ if category.is_some_and(|category| category != "marketing_messages") => None,
        Some("stop" | "stopped") => Some("stopped"),
        Some("resume" | "resumed") => Some("resumed"),
        _ => None,
    };
    let Some(marketing) = marketing else { return Told::NotUnderstood };
    let contact = Contact { names, marketing: Some(marketing.to_owned()), ..Contact::default() };
    told(entry, preference, contact, received_at)
}

/// What a change says of a contact, at its own time or its entry's.
fn told(entry: &Value, item: &Value, contact: Contact, received_at: OffsetDateTime) -> Told {
    if contact.names.ids().is_empty() && contact.former == ContactNames::default() {
        return Told::Undecodable("the change names no contact".to_owned());
    }
    let at = instant(item, "timestamp").or_else(|| instant(entry, "time"));
    Told::Facts(vec![(Moment::new(at, received_at), Fact::Contact(contact))])
}
