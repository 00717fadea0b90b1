//! What no person wrote, or not to us alone, is stored and not answered.

use serde_json::{Value, json};

use super::{ALL, KAPSOS, on};
use crate::case::{Case, Is, Want, answered, message, not_answered, not_marked, one_contact, other_lane};
use crate::dialects::{Dialect, Guide, Meta, OUR_NUMBER, Person, Said, V1, V2, V2Batch, batch, told};

/// A group, as WhatsApp names it.
const GROUP: &str = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZC";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        one_batch_of_a_group_and_a_chat(),
        our_number_in_v1(),
        our_number_in_the_guide(),
        type_in_another_webhook(),
        group_in_another_webhook(),
    ];
    for (dialect, nth) in ALL.into_iter().zip(0..) {
        cases.extend([unsupported(dialect, nth), unknown_type(dialect, nth), reaction(dialect, nth)]);
        if dialect != Meta {
            cases.push(summary_of_a_voice_note(dialect, nth));
        }
    }
    for (dialect, nth) in KAPSOS.into_iter().zip(0..) {
        cases.push(group(dialect, nth));
    }
    cases
}

/// A message that is stored with its type, and not answered.
fn unanswered(dialect: Dialect, said: &Said) -> Case {
    let wants = vec![message(&said.id, &[("type", Is::Text(said.kind))]), not_answered(&said.id)];
    Case::new(said.who.key.clone(), vec![told(dialect, said).into()], wants)
}

fn unsupported(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("unsupported-{dialect}"), 100 + nth);
    let said = Said::of(&who, 1, "unsupported", json!({}), "[Unsupported message: ayuda]");
    let errors = json!([{ "code": 131_051, "title": "Unsupported message type", "message": "ayuda" }]);
    unanswered(dialect, &said.with(json!({ "errors": errors })))
}

fn unknown_type(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("unknown-type-{dialect}"), 110 + nth);
    let object = json!({ "body": "ayuda", "caption": "ayuda", "text": "ayuda", "title": "ayuda" });
    unanswered(dialect, &Said::of(&who, 1, "hologram", object, "Hologram shared: ayuda"))
}

/// Whether a reaction has a row is not asked here: it is no message.
fn reaction(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("reaction-{dialect}"), 120 + nth);
    let object = json!({ "message_id": who.id(9), "emoji": "🆘" });
    let said = Said::of(&who, 1, "reaction", object, "Reacted with ayuda to message wamid.ayuda");
    Case::new(who.key.clone(), vec![told(dialect, &said).into()], vec![not_answered(&said.id)])
}

fn summary_of_a_voice_note(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("summary-{dialect}"), 130 + nth);
    let object = json!({ "id": "990012", "mime_type": "audio/ogg", "voice": true });
    unanswered(
        dialect,
        &Said::of(&who, 1, "audio", object, "[Audio attached] (ayuda.ogg)\nTranscript: ayuda"),
    )
}

fn of_a_group(in_group: &Said, private: &Said, dialect: Dialect) -> Vec<Want> {
    // In the first dialect a group's message may not say who wrote it.
    let messages = [private.id.as_str(), &in_group.id];
    let messages = if dialect == V1 { &messages[..1] } else { &messages[..] };
    vec![
        one_contact(&[&private.who.number], messages),
        message(&in_group.id, &[("group_id", Is::Text(GROUP)), ("direction", Is::Text("inbound"))]),
        not_answered(&in_group.id),
        not_marked(&in_group.id),
        other_lane(&in_group.id, &private.id),
        message(&private.id, &[("group_id", Is::Null)]),
        answered(&private.id, on(dialect)),
    ]
}

fn group(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("group-{dialect}"), 140 + nth);
    let group = who.in_conversation(format!("c-case-in-group-{dialect}"));
    let in_group = Said::text(&group, 1, "ayuda en el grupo").with(json!({ "group_id": GROUP }));
    let private = Said::text(&who, 2, "en privado: ayuda");
    let wants = of_a_group(&in_group, &private, dialect);
    let webhooks = vec![told(dialect, &in_group).into(), told(dialect, &private).into()];
    Case::new(who.key.clone(), webhooks, wants).any_order()
}

fn one_batch_of_a_group_and_a_chat() -> Case {
    let who = Person::new("group-beside-chat", 150);
    let group = who.in_conversation("c-case-in-group-beside");
    let in_group = Said::text(&group, 1, "ayuda en el grupo").with(json!({ "group_id": GROUP }));
    let private = Said::text(&who, 2, "en privado: ayuda");
    let wants = of_a_group(&in_group, &private, V2Batch);
    Case::new(who.key.clone(), vec![batch(&[&in_group, &private]).into()], wants)
}

/// The webhook that gives the text does not give the type: another one has.
fn type_in_another_webhook() -> Case {
    let who = Person::new("type-in-another", 151);
    let said = Said::of(&who, 1, "unsupported", json!({}), "[Unsupported message: ayuda]");
    let mut untyped = told(Guide, &said);
    untyped.body["payload"]["message_type"] = Value::Null;
    let wants = vec![message(&said.id, &[("type", Is::Text("unsupported"))]), not_answered(&said.id)];
    Case::new(who.key.clone(), vec![told(V2, &said).into(), untyped.into()], wants)
}

/// The webhook that gives the text does not give the group: that of its edit has.
fn group_in_another_webhook() -> Case {
    let who = Person::new("group-in-another", 152);
    let said = Said::text(&who, 1, "ayuda en el grupo").at(-9);
    let edit = json!({
        "original_message_id": said.id, "message": { "type": "text", "text": { "body": "ayuda a todos" } },
    });
    let edit = Said::of(&who, 2, "edit", edit, "ayuda a todos").with(json!({ "group_id": GROUP }));
    let wants = vec![
        message(&said.id, &[("group_id", Is::Text(GROUP)), ("body", Is::Text("ayuda a todos"))]),
        not_answered(&said.id),
        not_marked(&said.id),
    ];
    Case::new(who.key.clone(), vec![told(V2, &edit).into(), told(Guide, &said).into()], wants)
}

/// Our own number, by the number's configuration that stands beside the message.
fn our_number_in_v1() -> Case {
    let who = Person::with_number("own-number-v1", OUR_NUMBER);
    from_ourselves(V1, &Said::text(&who, 1, "¿En qué puedo ayudarte? ayuda"))
}

/// Our own number, by whom the message is written to.
fn our_number_in_the_guide() -> Case {
    let who = Person::with_number("own-number-guide", OUR_NUMBER);
    let to_us = json!({ "to": format!("+{OUR_NUMBER}") });
    from_ourselves(Guide, &Said::text(&who, 1, "¿En qué puedo ayudarte? ayuda").with(to_us))
}

fn from_ourselves(dialect: Dialect, said: &Said) -> Case {
    let wants = vec![message(&said.id, &[("direction", Is::Text("outbound"))]), not_answered(&said.id)];
    Case::new(said.who.key.clone(), vec![told(dialect, said).into()], wants)
}
