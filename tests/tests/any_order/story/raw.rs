//! What comes in shapes of its own: names linked late, echoes, history, snapshots that are out of date, statuses that
//! only Meta has, and what can't be told at all.

use kapso_sim::Dialect::{V1, V2};
use serde_json::json;

use super::Story;

const CONVERSATION: &str = "5e0d0000-0000-4000-8000-000000000001";

pub(super) fn tell(story: &mut Story) {
    uuid_first(story);
    snapshots(story);
    of_meta(story);
    // Nobody knows this kind; and this one says nothing. Both are kept, and the second is a dead letter.
    story.tell_raw(
        V2,
        "whatsapp.meta_business_agent.handover",
        json!({ "event": "x", "phone_number_id": "1" }),
    );
    story.tell_raw(
        V2,
        "whatsapp.message.received",
        json!({ "message": null, "conversation": { "id": CONVERSATION } }),
    );
}

/// A message that is known by Kapso's id, then by WhatsApp's, and at last by both: three rows become one. A message of
/// ours goes out twice, under two names of WhatsApp's.
fn uuid_first(story: &mut Story) {
    let mut item = |uuid: &str, wamid: Option<&str>, direction: &str, status: &str, seconds: i64| {
        let body = json!({
            "message": {
                "id": uuid, "whatsapp_message_id": wamid, "message_type": "text", "content": "Necesito ayuda",
                "direction": direction, "status": status, "phone_number": "+56911110001", "origin": "cloud_api",
                "whatsapp_conversation_id": CONVERSATION, "created_at": story.iso(seconds),
                "metadata": { "timestamp": story.unix(seconds) },
            },
            "conversation": { "id": CONVERSATION, "phone_number": "+56911110001", "contact_name": "Anita",
                "status": "active", "whatsapp_config_id": story.line.config_id, "updated_at": story.iso(seconds),
                "last_active_at": story.iso(seconds) },
            "whatsapp_config": { "id": story.line.config_id, "phone_number_id": story.line.phone_number_id },
        });
        let kind = if direction == "inbound" { "received" } else { status };
        story.tell_raw(V1, &format!("whatsapp.message.{kind}"), body);
    };
    item("u-1", None, "inbound", "received", 1000);
    item("u-1", Some("wamid.HBgU1"), "inbound", "received", 1000);
    item("u-2", None, "outbound", "sent", 1010);
    item("u-2", Some("wamid.HBgU2"), "outbound", "failed", 1020);
    item("u-2", Some("wamid.HBgU3"), "outbound", "delivered", 1030);
    let tell_meta = |story: &mut Story, id: &str, status: &str, seconds: i64| {
        let status = json!({
            "id": id, "status": status, "timestamp": story.unix(seconds), "recipient_id": "56911110001",
        });
        story.tell_meta("messages", json!({ "statuses": [status] }));
    };
    tell_meta(story, "wamid.HBgU2", "failed", 1021);
    tell_meta(story, "wamid.HBgU3", "read", 1031);
    tell_meta(story, "wamid.HBgU3", "played", 1032);
    tell_meta(story, "wamid.HBgU9", "delivered", 1040);
    let said = json!({
        "from": "56911110001", "id": "wamid.HBgU1", "timestamp": story.unix(1000), "type": "text",
        "text": { "body": "Necesito ayuda" },
    });
    story.tell_meta("messages", json!({ "contacts": [{ "wa_id": "56911110001" }], "messages": [said] }));
}

/// Snapshots of one conversation, the oldest told last; the silence after a message links the two names that it has.
fn snapshots(story: &mut Story) {
    for (event, status, seconds, inactive) in [
        ("ended", "ended", 1200, None),
        ("inactive", "active", 1100, Some("wamid.HBgL062")),
        ("created", "active", 1090, None),
        ("inactive", "active", 1050, Some("wamid.HBgL061")),
    ] {
        let mut body = json!({
            "conversation": {
                "id": "5e0d0000-0000-4000-8000-000000000002", "phone_number": "+56 9 1111 0001",
                "contact_name": format!("Ana {seconds}"), "status": status, "username": null,
                "last_active_at": story.iso(seconds), "created_at": story.iso(400), "updated_at": story.iso(seconds),
                "metadata": { "seen": seconds },
            },
            "phone_number_id": story.line.phone_number_id,
        });
        if let Some(wamid) = inactive {
            body["since_message"] = json!({
                "id": format!("5e0e0000-0000-4000-8000-000000000{}", &wamid[wamid.len() - 3..]),
                "whatsapp_message_id": wamid, "direction": "inbound", "created_at": story.iso(seconds),
            });
            body["inactivity"] = json!({ "minutes": 60 });
        }
        story.tell_raw(V2, &format!("whatsapp.conversation.{event}"), body);
    }
}

/// What a person wrote on the phone, what was imported, and a template's fate.
fn of_meta(story: &mut Story) {
    let echo = json!({
        "from": "56225550100", "to": "56911110001", "id": "wamid.HBgE1", "timestamp": story.unix(1300),
        "type": "text", "text": { "body": "Habla Marta, le ayudo" },
    });
    story.tell_meta("smb_message_echoes", json!({ "message_echoes": [echo] }));
    let mut of_kapso = echo;
    of_kapso["kapso"] = json!({
        "direction": "outbound", "status": "sent", "origin": "business_app", "whatsapp_conversation_id": CONVERSATION,
    });
    let item = json!({ "message": of_kapso, "phone_number_id": story.line.phone_number_id });
    story.tell_raw(V2, "whatsapp.message.sent", item);
    let days_ago = -86_400 * 30;
    let thread = json!({
        "id": "56911110007",
        "messages": [
            { "from": "56911110007", "id": "wamid.HBgH1", "timestamp": story.unix(days_ago), "type": "text",
              "text": { "body": "ayuda" } },
            { "from": "56225550100", "id": "wamid.HBgH2", "timestamp": story.unix(days_ago + 60), "type": "text",
              "text": { "body": "dígame" } },
        ],
    });
    story.tell_meta("history", json!({ "history": [{ "metadata": { "phase": 0 }, "threads": [thread] }] }));
    let template = json!({
        "entry": [{ "id": story.line.business_account_id, "time": story.at(1310).unix_timestamp(), "changes": [{
            "field": "message_template_status_update",
            "value": { "event": "APPROVED", "message_template_id": 77, "message_template_name": "promo" },
        }] }],
        "object": "whatsapp_business_account",
    });
    story.tell_raw(kapso_sim::Dialect::Meta, "messages", template);
}
