//! One person, one contact: every name that one webhook gives for a person is that person.

use serde_json::{Value, json};

use super::{KAPSOS, on};
use crate::case::{
    Address, Case, Is, On, Want, answered, answered_at, contact, message, not_answered, one_contact,
};
use crate::dialects::{
    Dialect, Guide, Meta, Person, Said, Told, V1, V2, V2Batch, changed, event, told, unix,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        user_id_in_the_conversation(),
        user_id_in_from_alone(),
        changed_user_id(),
        identity_changed(),
        several_contacts(),
        preference_resumed(),
    ];
    for (dialect, nth) in KAPSOS.into_iter().zip(0..) {
        cases.extend([changed_number(dialect, nth), user_id_as_number(dialect, 10 + nth)]);
    }
    cases.push(user_id_as_number(Guide, 20));
    for (dialect, nth) in [Guide, V1, V2Batch, Meta].into_iter().zip(0..) {
        cases.push(two_forms(dialect, nth));
    }
    cases
}

/// The notice holds the person's name, and the name holds the keyword.
fn changed_number(dialect: Dialect, nth: u16) -> Case {
    let old = Person::new(format!("changed-number-{dialect}"), 500 + 2 * nth);
    let new = Person::new(format!("new-number-{dialect}"), 501 + 2 * nth);
    let before = Said::text(&old, 1, "hola").at(-30);
    let body = format!("Ayuda Legal changed from {} to {}", old.number, new.number);
    let notice = json!({ "body": body, "wa_id": new.number, "type": "user_changed_number" });
    let notice = Said::of(&old, 2, "system", notice, &body).at(-20);
    let after = Said::text(&new, 3, "ya con el número nuevo").at(-10);
    let wants = vec![
        message(&notice.id, &[("type", Is::Text("system"))]),
        not_answered(&notice.id),
        one_contact(&[&old.number, &new.number], &[&before.id, &after.id]),
    ];
    let webhooks = [&before, &notice, &after].map(|said| told(dialect, said).into());
    Case::new(old.key.clone(), webhooks.into(), wants).any_order()
}

/// A notice without `from`, in Kapso's dialect of today.
fn changed_user_id() -> Case {
    let who = Person::new("changed-user-id-v2", 510);
    let (old, new) = ("CO.CASE510", "MX.CASE510");
    let by_user_id = |nth: u8, id: &str, at| {
        let said = Said::text(&who, nth, "hola").at(at);
        nameless(V2, &said, &json!({ "from_user_id": id, "from": null }))
    };
    let notice = json!({
        "body": format!("Ayuda changed from {old} to {new}"), "user_id": new, "previous_user_id": old,
        "type": "user_changed_user_id",
    });
    let notice = Said::of(&who, 2, "system", notice, "Ayuda changed").at(-20);
    let notice_told = nameless(V2, &notice, &json!({ "from": null }));
    let wants = vec![
        message(&notice.id, &[("type", Is::Text("system"))]),
        not_answered(&notice.id),
        one_contact(&[old, new], &[&who.id(1), &who.id(3)]),
    ];
    let webhooks = vec![by_user_id(1, old, -30).into(), notice_told.into(), by_user_id(3, new, -10).into()];
    Case::new(who.key.clone(), webhooks, wants).any_order()
}

/// A message whose conversation gives no number, with other fields of the message.
fn nameless(dialect: Dialect, said: &Said, fields: &Value) -> Told {
    let mut told = told(dialect, said);
    told.body["conversation"]["phone_number"] = Value::Null;
    for (name, value) in fields.as_object().into_iter().flatten() {
        told.body["message"][name] = value.clone();
    }
    told
}

/// A user id stands wherever the dialect has a number.
fn user_id_as_number(dialect: Dialect, nth: u16) -> Case {
    let who = Person::with_number(format!("user-id-{dialect}"), format!("CL.CASE{nth:03}abc"));
    let asks = Said::text(&who, 1, "necesito ayuda");
    Case::new(who.key.clone(), vec![told(dialect, &asks).into()], by_user_id_alone(&who, &asks))
}

fn by_user_id_alone(who: &Person, asks: &Said) -> Vec<Want> {
    vec![
        one_contact(&[&who.number], &[&asks.id]),
        Want::Contact(who.number.clone(), vec![("bsuid", Is::Set), ("phone_number", Is::Null)]),
        answered_at(&asks.id, On::Both, Address::Recipient(who.number.clone())),
    ]
}

fn user_id_in_the_conversation() -> Case {
    let who = Person::with_number("user-id-in-conversation", "CL.CASE530abc");
    let asks = Said::text(&who, 1, "necesito ayuda");
    let mut told = told(V2, &asks);
    told.body["message"]["from"] = Value::Null;
    Case::new(who.key.clone(), vec![told.into()], by_user_id_alone(&who, &asks))
}

fn user_id_in_from_alone() -> Case {
    let who = Person::with_number("user-id-in-from", "CL.CASE531abc");
    let asks = Said::text(&who, 1, "necesito ayuda");
    let told = nameless(V2, &asks, &json!({}));
    Case::new(who.key.clone(), vec![told.into()], by_user_id_alone(&who, &asks))
}

/// One webhook gives two forms of one number; another message comes from each of them alone.
fn two_forms(dialect: Dialect, nth: u16) -> Case {
    let long = Person::with_number(format!("two-forms-{dialect}"), format!("5511987654{nth:03}"));
    let short = Person::with_number(format!("two-forms-{dialect}"), format!("551187654{nth:03}"));
    // The guide's contact has an id of Kapso's, which would link both by itself.
    let without_id = |said: Said| {
        let contact = json!({ "phone_number": format!("+{}", said.who.number) });
        if dialect == Guide { said.with(json!({ "contact": contact })) } else { said }
    };
    let both = without_id(Said::text(&long, 1, "oi").by(&short.number).at(-30));
    let alone = without_id(Said::text(&short, 2, "sou eu").at(-20));
    let asks = without_id(Said::text(&long, 3, "ayuda").at(-10));
    let wants = vec![
        one_contact(&[&long.number, &short.number], &[&both.id, &alone.id, &asks.id]),
        answered(&asks.id, on(dialect)),
    ];
    let webhooks = [&both, &alone, &asks].map(|said| told(dialect, said).into());
    Case::new(long.key.clone(), webhooks.into(), wants).any_order()
}

/// Kapso's own event for a changed user id.
fn identity_changed() -> Case {
    let who = Person::new("identity-changed", 540);
    let (old, new) = ("CL.CASE540a", "CL.CASE540b");
    let by = |nth: u8, id: &str, at| {
        nameless(V2, &Said::text(&who, nth, "hola").at(at), &json!({ "from_user_id": id, "from": null }))
    };
    let update = json!({
        "contact": {
            "id": "ct-case-540", "wa_id": who.number, "profile_name": "Cliente", "business_scoped_user_id": new,
            "updated_at": "{{iso-20}}",
        },
        "previous": { "business_scoped_user_id": old },
        "phone_number_id": crate::dialects::PHONE_NUMBER_ID,
    });
    let update = event("whatsapp.contact.identity_changed", update);
    let wants = vec![one_contact(&[&who.number, old, new], &[&who.id(1), &who.id(3)])];
    let webhooks = vec![by(1, old, -30).into(), update.into(), by(3, new, -10).into()];
    Case::new(who.key.clone(), webhooks, wants).any_order()
}

/// A change with several contacts links only what matches.
fn several_contacts() -> Case {
    let (one, other) = (Person::new("several-one", 550), Person::new("several-other", 551));
    let said = [(&one, "uno"), (&other, "dos")].map(|(who, text)| {
        json!({
            "from": who.number, "id": who.id(1), "timestamp": unix(-5), "type": "text", "text": { "body": text },
        })
    });
    let profile = |who: &Person, name: &str, id: &str| json!({ "profile": { "name": name }, "wa_id": who.number, "user_id": id });
    let contacts = json!([profile(&other, "Otra", "CL.CASE551"), profile(&one, "Una", "CL.CASE550")]);
    let told = changed("messages", json!({ "contacts": contacts, "messages": said }));
    let wants = vec![
        one_contact(&[&one.number, "CL.CASE550"], &[&one.id(1)]),
        one_contact(&[&other.number, "CL.CASE551"], &[&other.id(1)]),
        contact(&one.number, &[("name", Is::Text("Una"))]),
        contact(&other.number, &[("name", Is::Text("Otra"))]),
    ];
    Case::new("several-contacts", vec![told.into()], wants)
}

/// The latest preference is what counts.
fn preference_resumed() -> Case {
    let who = Person::new("preference-resumed", 552);
    let told = |value: &str, at| {
        let preference = json!({
            "wa_id": who.number, "detail": "User requested it", "category": "marketing_messages", "value": value,
            "timestamp": unix(at),
        });
        let contacts = json!([{ "wa_id": who.number, "profile": { "name": "Cliente" } }]);
        changed("user_preferences", json!({ "contacts": contacts, "user_preferences": [preference] }))
    };
    let wants = vec![contact(&who.number, &[("marketing", Is::Text("resumed"))])];
    Case::new(who.key.clone(), vec![told("stop", -60).into(), told("resume", -30).into()], wants).any_order()
}
