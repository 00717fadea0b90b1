//! People under several names: numbers, business-scoped ids, ids of Kapso's, and what links them.

use kapso_sim::Dialect::{Guide, Meta, V1, V2};
use kapso_sim::story::{Content, Direction, Event, Fact};
use serde_json::json;

use super::{
    Story,
    talk::{contact, conversation, message, sample},
};

pub(super) fn tell(story: &mut Story) {
    without_a_number(story);
    known_by_kapso(story);
    two_names_for_one_conversation(story);
    reactions(story);
}

/// Beto is known by a business-scoped id alone, gets another, and then shows his number.
fn without_a_number(story: &mut Story) {
    let beto = contact(1, None, Some("CL.2001"), story.at(500));
    let talk = conversation(3, beto.clone(), story.at(500));
    story.tell(&[V2], &Event { at: story.at(500), fact: Fact::ConversationCreated(talk.clone()) });
    for nth in 70..72 {
        let at = story.at(440 + i64::from(nth));
        let said = message(nth, Direction::Inbound, &talk, Content::text("¿Me da ayuda?"), at);
        story.tell(&[V2], &Event::received(said));
    }
    let mut renamed = beto;
    renamed.bsuid = Some("CL.2002".to_owned());
    let change = Fact::ContactUpdated(renamed.clone(), Some("CL.2001".to_owned()));
    story.tell(&[V2], &Event { at: story.at(520), fact: change });
    renamed.number = Some("56911110002".to_owned());
    renamed.name = Some("Beto Núñez".to_owned());
    let change = Fact::ContactUpdated(renamed.clone(), Some("CL.2002".to_owned()));
    story.tell(&[V2], &Event { at: story.at(540), fact: change });
    let later = conversation(4, renamed, story.at(550));
    let said = message(73, Direction::Inbound, &later, sample("image", "ayuda"), story.at(551));
    story.tell(&[Guide, V1, V2], &Event::received(said));
}

/// Caro is known by Kapso's id before she has a number; her marketing preference changes twice.
fn known_by_kapso(story: &mut Story) {
    let caro = contact(2, Some("56911110003"), None, story.at(600));
    let known = json!({
        "event_type": "contact.created", "timestamp": story.iso(600),
        "payload": { "contact": { "id": caro.id, "display_name": "Carolina" } },
    });
    story.tell_raw(Guide, "contact.created", known);
    let talk = conversation(5, caro.clone(), story.at(601));
    for nth in 80..83 {
        let at = story.at(530 + i64::from(nth));
        let said = message(nth, Direction::Inbound, &talk, Content::text("buenas"), at);
        story.tell(&[Guide, V1, V2, Meta], &Event::received(said));
    }
    for (seconds, status, previous) in [(620, "stopped", "resumed"), (640, "resumed", "stopped")] {
        let changed = json!({
            "contact": {
                "id": caro.id, "wa_id": "56911110003", "profile_name": "Caro", "username": "@caro",
                "business_scoped_user_id": "CL.3001", "created_at": story.iso(590), "updated_at": story.iso(seconds),
            },
            "marketing_preference": {
                "status": status, "previous_status": previous, "occurred_at": story.iso(seconds), "sequence": 1,
            },
            "phone_number_id": story.line.phone_number_id,
        });
        story.tell_raw(V2, "whatsapp.contact.marketing_preference_changed", changed);
    }
    let updated = json!({
        "event_type": "contact.updated", "timestamp": story.iso(650),
        "payload": { "contact": { "id": caro.id, "phone_number": "+56 9 1111 0003", "display_name": "Caro R." } },
    });
    story.tell_raw(Guide, "contact.updated", updated);
}

/// One conversation is told to be with a number by one dialect and with a business-scoped id by another, each of
/// which is later linked to names of other people. Nobody should send this, and it must still not matter when.
fn two_names_for_one_conversation(story: &mut Story) {
    let number = contact(3, Some("56911110009"), None, story.at(700));
    let hidden = contact(3, None, Some("CL.4001"), story.at(700));
    let with_number = conversation(6, number, story.at(700));
    let with_bsuid = conversation(6, hidden.clone(), story.at(700));
    let said = |talk, nth, at| message(nth, Direction::Inbound, talk, Content::text("ayuda"), at);
    story.tell(&[V1], &Event::received(said(&with_number, 90, story.at(701))));
    story.tell(&[V2, Meta], &Event::received(said(&with_bsuid, 90, story.at(701))));
    story.tell(&[V2], &Event::received(said(&with_bsuid, 91, story.at(702))));
    let mut elsewhere = hidden;
    elsewhere.number = Some("56911110004".to_owned());
    story.tell(&[V2], &Event { at: story.at(720), fact: Fact::ContactUpdated(elsewhere, None) });
}

/// A reaction, another over it, one taken back, one of the business.
fn reactions(story: &mut Story) {
    let reactions = [
        ("wamid.HBgR1", Some("❤️"), "wamid.HBgL030", 800),
        ("wamid.HBgR2", Some("👍"), "wamid.HBgL030", 810),
        ("wamid.HBgR3", Some("😂"), "wamid.HBgL031", 820),
        ("wamid.HBgR4", None, "wamid.HBgL031", 830),
    ];
    for (id, emoji, to, seconds) in reactions {
        let mut reaction = json!({ "message_id": to });
        if let Some(emoji) = emoji {
            reaction["emoji"] = json!(emoji);
        }
        let sent = json!({
            "id": id, "timestamp": story.unix(seconds), "type": "reaction", "from": "56911110001", "reaction": reaction,
        });
        let mut of_kapso = sent.clone();
        of_kapso["kapso"] = json!({
            "direction": "inbound", "status": "received", "origin": "cloud_api", "content": "Reacted",
            "whatsapp_conversation_id": "5e0d0000-0000-4000-8000-000000000001",
        });
        let item = json!({ "message": of_kapso, "phone_number_id": story.line.phone_number_id });
        story.tell_raw(V2, "whatsapp.message.received", item);
        let contacts =
            json!([{ "profile": { "name": "Ana" }, "wa_id": "56911110001", "user_id": "CL.1001" }]);
        story.tell_meta("messages", json!({ "contacts": contacts, "messages": [sent] }));
    }
    let ours = json!({
        "id": "wamid.HBgR5", "timestamp": story.unix(840), "type": "reaction", "to": "56911110001",
        "reaction": { "message_id": "wamid.HBgL001", "emoji": "✅" },
        "kapso": { "direction": "outbound", "status": "sent", "origin": "cloud_api" },
    });
    let item = json!({ "message": ours, "phone_number_id": story.line.phone_number_id });
    story.tell_raw(V2, "whatsapp.message.sent", item);
}
