//! Every name that a webhook gives for one person.
//!
//! One person can have several names in one webhook: two forms of one number (`wa_id` and `from`), a number and a
//! business-scoped user id, an old and a new id. All of them are kept, so that projection links them. There is no rule by
//! country: only what a webhook says links (`docs/decisions/09`).

use serde_json::Value;

use super::json::{phone_number, text};
use crate::event::ContactNames;

/// The fewest digits with which a further number links two contacts: a placeholder such as `0` must not make everybody
/// one person. Source: ITU-T E.164 allows 15 digits; the shortest numbers in use with their country code have 7.
const MIN_DIGITS_TO_LINK: usize = 7;

/// Collects the names of one person.
#[derive(Default)]
pub(super) struct Person {
    names: ContactNames,
    /// Numbers of ours: never a name of the person.
    ours: Vec<String>,
}

impl Person {
    /// A person without a name yet, on the other side of these numbers of ours.
    pub(super) fn beside(ours: &[String]) -> Self {
        Self { names: ContactNames::default(), ours: ours.to_vec() }
    }

    /// Adds the number in a field, or the business-scoped user id that stands in its place.
    pub(super) fn number(mut self, object: &Value, field: &str) -> Self {
        if let Some(number) = phone_number(object, field) {
            self.add_number(number);
        } else if let Some(id) = text(object, field).filter(|id| is_user_id(id)) {
            self.add_user_id(id);
        }
        self
    }

    /// Adds the business-scoped user id in a field.
    pub(super) fn user_id(mut self, object: &Value, field: &str) -> Self {
        if let Some(id) = text(object, field) {
            self.add_user_id(id);
        }
        self
    }

    /// Adds Kapso's id of the contact in a field.
    pub(super) fn kapso_id(mut self, object: &Value, field: &str) -> Self {
        self.names.kapso_id = self.names.kapso_id.or_else(|| text(object, field));
        self
    }

    /// Adds what a notice of WhatsApp's says of the person: the new number and id first, then the old ones.
    /// Source: Meta, "Webhooks: system messages".
    pub(super) fn notice(self, notice: &Value) -> Self {
        self.number(notice, "wa_id")
            .number(notice, "new_wa_id")
            .user_id(notice, "user_id")
            .user_id(notice, "parent_user_id")
            .number(notice, "customer")
            .number(notice, "previous_wa_id")
            .user_id(notice, "previous_user_id")
            .user_id(notice, "previous_parent_user_id")
    }

    /// The names. The first number and the first user id are what the person is called now.
    pub(super) fn names(self) -> ContactNames {
        self.names
    }

    fn add_number(&mut self, number: String) {
        if self.ours.contains(&number) {
            return;
        }
        match &self.names.phone_number {
            None => self.names.phone_number = Some(number),
            Some(known) if known.len() < MIN_DIGITS_TO_LINK && number.len() >= MIN_DIGITS_TO_LINK => {
                self.names.phone_number = Some(number);
            }
            Some(known) if *known == number || number.len() < MIN_DIGITS_TO_LINK => {}
            Some(_) => self.add_other(number),
        }
    }

    fn add_user_id(&mut self, id: String) {
        match &self.names.bsuid {
            None => self.names.bsuid = Some(id),
            Some(known) if *known == id => {}
            Some(_) => self.add_other(id),
        }
    }

    fn add_other(&mut self, name: String) {
        if !self.names.others.contains(&name) {
            self.names.others.push(name);
        }
    }
}

/// Whether a text is a business-scoped user id: a country code, a dot, and the rest. Source: Meta, "Business-scoped
/// user IDs".
fn is_user_id(text: &str) -> bool {
    let rest = match text.as_bytes() {
        [a, b, b'.', rest @ ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => rest,
        _ => return false,
    };
    !rest.is_empty() && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_of_one_person_is_kept_once() {
        let message = json!({ "from": "+551187650089", "to": "56220000001", "from_user_id": "BR.1" });
        let profile = json!({ "wa_id": "5511987650089", "user_id": "BR.1" });
        let names = Person::beside(&["56220000001".to_owned()])
            .number(&message, "from")
            .number(&message, "to")
            .user_id(&message, "from_user_id")
            .number(&profile, "wa_id")
            .number(&profile, "wa_id")
            .user_id(&profile, "user_id")
            .names();
        assert_eq!(names.ids(), ["551187650089", "BR.1", "5511987650089"]);
    }

    #[test]
    fn a_user_id_may_stand_in_the_place_of_the_number() {
        let named = |from: &str| Person::default().number(&json!({ "from": from }), "from").names().ids();
        assert_eq!(named("CL.EXT00140abc"), ["CL.EXT00140abc"]);
        for other in ["anonymous", "cl.1", "CL.", "Y2FwaV9ncm91cDox", "a@b.cl", ""] {
            assert!(named(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_placeholder_links_nobody() {
        let message = json!({ "from": "56911110001", "phone_number": "0" });
        for fields in [["from", "phone_number"], ["phone_number", "from"]] {
            let names = Person::default().number(&message, fields[0]).number(&message, fields[1]).names();
            assert_eq!(names.ids(), ["56911110001"]);
        }
    }

    #[test]
    fn a_notice_names_the_old_and_the_new() {
        let notice = json!({ "wa_id": "56911100917", "type": "user_changed_number" });
        let message = json!({ "from": "56911100017" });
        let names = Person::default().notice(&notice).number(&message, "from").names();
        assert_eq!(names.ids(), ["56911100917", "56911100017"]);
    }
}
