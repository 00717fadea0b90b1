//! A takeover follows the person: under every name, in every session.

use serde_json::json;

use super::{KAPSOS, WHOLE, on};
use crate::case::{Case, On, one_contact, taken_over};
use crate::dialects::{Dialect, Meta, Person, Said, V2, changed, event, told, unix};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![after_a_changed_number(), by_a_user_id(), across_dialects()];
    for (dialect, nth) in WHOLE.into_iter().zip(0..) {
        cases.push(other_form(dialect, nth));
    }
    for (dialect, nth) in KAPSOS.into_iter().zip(0..) {
        cases.push(other_session(dialect, nth));
    }
    cases
}

/// What the agent writes leaves in a webhook of its own: batches hold what is received.
fn agent_in(dialect: Dialect) -> Dialect {
    if dialect == Dialect::V2Batch { V2 } else { dialect }
}

/// A human agent wrote to the form with the 9, the person answers from the one without it.
fn other_form(dialect: Dialect, nth: u16) -> Case {
    let who = Person::with_number(format!("takeover-form-{dialect}"), format!("5511987651{nth:03}"));
    let short = format!("551187651{nth:03}");
    let written = Said::on_the_phone(&who, 1);
    let asks = Said::text(&who, 2, "ayuda por favor").by(&short);
    let wants = vec![taken_over(&asks.id, on(dialect)), one_contact(&[&who.number, &short], &[&asks.id])];
    let webhooks = vec![told(agent_in(dialect), &written).into(), told(dialect, &asks).into()];
    Case::new(who.key.clone(), webhooks, wants)
}

/// And the person's message opens a new conversation.
fn other_session(dialect: Dialect, nth: u16) -> Case {
    let who = Person::with_number(format!("takeover-session-{dialect}"), format!("5511987652{nth:03}"));
    let short = format!("551187652{nth:03}");
    let later = who.in_conversation(format!("c-case-later-{dialect}"));
    let written = Said::on_the_phone(&who, 1);
    let asks = Said::text(&later, 2, "ayuda por favor").by(&short);
    let wants = vec![taken_over(&asks.id, on(dialect)), one_contact(&[&who.number, &short], &[&asks.id])];
    let webhooks = vec![told(agent_in(dialect), &written).into(), told(dialect, &asks).into()];
    Case::new(who.key.clone(), webhooks, wants)
}

/// The person changes numbers in the middle of the talk.
fn after_a_changed_number() -> Case {
    let (old, new) = (Person::new("takeover-changed-number", 400), Person::new("takeover-new-number", 401));
    let written = Said::on_the_phone(&old, 1);
    let body = format!("Cliente Prueba changed from {} to {}", old.number, new.number);
    let notice = json!({ "body": body, "wa_id": new.number, "type": "user_changed_number" });
    let notice = Said::of(&old, 2, "system", notice, &body).at(-10);
    let asks = Said::text(&new, 3, "ayuda, soy yo");
    let wants = vec![taken_over(&asks.id, On::Both), one_contact(&[&old.number, &new.number], &[&asks.id])];
    let webhooks = [&written, &notice, &asks].map(|said| told(V2, said).into());
    Case::new(old.key.clone(), webhooks.into(), wants)
}

/// The agent wrote to the number; the person asks by a user id that an update links to it.
fn by_a_user_id() -> Case {
    let who = Person::new("takeover-user-id", 402);
    let written = Said::on_the_phone(&who, 1);
    let update = json!({
        "contacts": [{ "wa_id": who.number }],
        "user_id_update": [{
            "wa_id": who.number, "user_id": { "previous": "CL.CASE402a", "current": "CL.CASE402b" },
            "timestamp": unix(-10),
        }],
    });
    let id = who.id(2);
    let asks = json!({
        "from_user_id": "CL.CASE402b", "id": id, "timestamp": unix(0), "type": "text",
        "text": { "body": "ayuda" },
    });
    let asks = changed(
        "messages",
        json!({ "contacts": [{ "profile": { "name": "Cliente" }, "user_id": "CL.CASE402b" }], "messages": [asks] }),
    );
    let wants =
        vec![taken_over(&id, On::Proxy), one_contact(&[&who.number, "CL.CASE402a", "CL.CASE402b"], &[&id])];
    let webhooks = vec![told(Meta, &written).into(), changed("user_id_update", update).into(), asks.into()];
    Case::new(who.key.clone(), webhooks, wants)
}

/// Meta's echo names both forms, Kapso's event one of them.
fn across_dialects() -> Case {
    let who = Person::with_number("takeover-across", "5511987653000");
    let short = "551187653000";
    let written = Said { who: Person::with_number("takeover-across", short), ..Said::on_the_phone(&who, 1) };
    let alone = Person::with_number("takeover-across", short);
    let asks = Said::text(&alone, 2, "ayuda por favor");
    let wants = vec![taken_over(&asks.id, On::Both), one_contact(&[&who.number, short], &[&asks.id])];
    let created = json!({
        "conversation": {
            "id": alone.conversation, "phone_number": short, "status": "active", "metadata": {},
            "phone_number_id": crate::dialects::PHONE_NUMBER_ID,
        },
        "phone_number_id": crate::dialects::PHONE_NUMBER_ID,
    });
    let created = event("whatsapp.conversation.created", created);
    Case::new(
        who.key.clone(),
        vec![told(Meta, &written).into(), created.into(), told(V2, &asks).into()],
        wants,
    )
}
