//! Fields that are not what the documentation says: taken as far as they go.

use serde_json::{Value, json};
use time::macros::datetime;
use worker::decode::Decoded;
use worker::event::{Conversation, Direction, Fact, Message, Progress};

use crate::{
    received::{decoded, decoded_bare},
    sound,
};

fn message(decoded: &Decoded) -> Message {
    let found = decoded.events.iter().find_map(|event| match &event.fact {
        Fact::Message(message) => Some(message.clone()),
        _ => None,
    });
    found.unwrap()
}

fn conversation(decoded: &Decoded) -> Conversation {
    let found = decoded.events.iter().find_map(|event| match &event.fact {
        Fact::Conversation(conversation) => Some(conversation.clone()),
        _ => None,
    });
    found.unwrap()
}

/// Every field of a text of the second dialect.
fn full() -> Value {
    json!({
        "message": {
            "id": "wamid.1", "timestamp": "1771421467", "type": "text", "from": "5491155500457",
            "from_user_id": "AR.1", "username": "u", "context": { "id": "wamid.0" }, "text": { "body": "hola" },
            "referral": { "source_id": "1" }, "errors": [],
            "kapso": {
                "direction": "inbound", "status": "received", "origin": "cloud_api", "content": "hola",
                "media_data": {}, "media_url": null, "transcript": null, "statuses": [],
            },
        },
        "conversation": {
            "id": "c", "phone_number": "5491155500457", "business_scoped_user_id": "AR.1", "status": "active",
            "created_at": "2026-02-10T08:00:00-03:00", "updated_at": "2026-02-18T10:31:07-03:00", "metadata": { "a": 1 },
        },
        "is_new_conversation": false,
        "phone_number_id": "2",
    })
}

/// Every value of a body, each with its path.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut each = |name: &str, value: &Value| {
        let path = format!("{path}/{name}");
        paths(value, &path, found);
        found.push(path);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| each(name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| each(&place.to_string(), value))
        }
        _ => {}
    }
}

#[test]
fn any_field_may_be_missing_null_or_of_any_type() {
    let mut all = Vec::new();
    paths(&full(), "", &mut all);
    assert!(all.len() > 30);
    let others = [
        json!(null),
        json!(""),
        json!(0),
        json!(-1.5),
        json!(true),
        json!([]),
        json!({}),
        json!([[7]]),
        json!("x"),
    ];
    for path in &all {
        for other in &others {
            let mut body = full();
            *body.pointer_mut(path).unwrap() = other.clone();
            let body = body.to_string();
            let decoded = decoded(body.clone());
            sound::check(&decoded, body.as_bytes()).unwrap();
            // Whatever it is, the other fields are still read.
            if path.starts_with("/message/") && path != "/message/text/body" && !path.ends_with("type") {
                let expected = (path != "/message/text").then_some("hola");
                assert_eq!(message(&decoded).body.as_deref(), expected, "{path} {other}");
            }
        }
    }
}

#[test]
fn unknown_fields_are_let_be() {
    let mut body = full();
    let plain = decoded(body.to_string());
    for (place, name) in
        [("", "test"), ("/message", "edited"), ("/message/kapso", "score"), ("/conversation", "tags")]
    {
        body.pointer_mut(place).unwrap()[name] = json!({ "id": 1, "type": "x", "message": {}, "data": [] });
    }
    assert_eq!(decoded(body.to_string()).events, plain.events);
}

#[test]
fn numbers_may_be_texts_and_texts_numbers() {
    let mut body = full();
    body["message"]["timestamp"] = json!(1_771_421_467);
    body["message"]["from"] = json!(5_491_155_500_457_u64);
    body["conversation"]["id"] = json!(42);
    body["phone_number_id"] = json!(2);
    let decoded = decoded(body.to_string());
    let message = message(&decoded);
    assert_eq!(message.conversation.as_deref(), Some("42"));
    assert_eq!(message.contact.phone_number.as_deref(), Some("5491155500457"));
    assert_eq!(message.phone_number_id.as_deref(), Some("2"));
    assert_eq!(decoded.events[0].at.at, datetime!(2026-02-18 13:31:07 UTC));
}

#[test]
fn a_number_is_its_digits_in_any_form() {
    for form in ["+1 (555) 123-4567", "1 555 123 4567", "+15551234567", "15551234567", "1-555-123-4567"] {
        let mut body = full();
        body["message"]["from"] = json!(form);
        assert_eq!(
            message(&decoded(body.to_string())).contact.phone_number.as_deref(),
            Some("15551234567"),
            "{form}"
        );
    }
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let body =
        r#"{"message":{"id":"a","type":"text","text":{"body":"first"},"text":{"body":"last"},"id":"b"}}"#;
    let message = message(&decoded(body));
    assert_eq!((message.names, message.body.as_deref()), (vec!["b".to_owned()], Some("last")));
}

#[test]
fn what_postgres_refuses_is_replaced() {
    let body = r#"{"message":{"id":"a\u0000b","type":"text","text":{"body":"\u0000 \ud800 \\u0000"},"context":{"\u0000":"\u0000"}}}"#;
    let found = decoded(body);
    let message = message(&found);
    assert_eq!(message.names, ["a\u{FFFD}b"]);
    assert_eq!(message.body.as_deref(), Some("\u{FFFD} \u{FFFD} \\u0000"));
    assert_eq!(message.context.as_deref(), Some("{\"\u{FFFD}\":\"\u{FFFD}\"}"));
    sound::check(&found, body.as_bytes()).unwrap();
}

/// Three numbers that were panics once.
#[test]
fn times_and_spans_beyond_reason_are_none() {
    for time in
        [json!(i64::MIN), json!(-1e300), json!("9999-12-31T23:59:59-23:00"), json!("-9223372036854775808")]
    {
        let mut body = full();
        body["message"]["timestamp"] = time.clone();
        assert!(!decoded(body.to_string()).events[0].at.timed, "{time}");
    }
    let since = json!({ "id": "u", "whatsapp_message_id": "wamid.1", "created_at": "2026-02-18T13:00:00Z" });
    let inactive = |minutes: Value| {
        let body = json!({
            "event": "whatsapp.conversation.inactive", "conversation": { "id": "c" }, "since_message": since,
            "inactivity": { "minutes": minutes },
        });
        conversation(&decoded_bare(&body)).inactive_at
    };
    assert_eq!(inactive(json!("30")), Some(datetime!(2026-02-18 13:30 UTC)));
    assert_eq!(inactive(json!(null)), Some(datetime!(2026-02-18 14:00 UTC)));
    assert_eq!(inactive(json!(i64::MAX)), Some(datetime!(2026-02-18 14:00 UTC)));
    assert_eq!(inactive(json!(u32::MAX)), None);
}

#[test]
fn the_body_says_who_wrote_whatever_the_header_says() {
    // All of these come as `whatsapp.message.received`.
    let status = json!([{ "id": "wamid.1", "status": "delivered", "timestamp": "1771421467" }]);
    for (kapso, direction) in [
        (json!({ "direction": "outbound" }), Direction::Outbound),
        (json!({ "statuses": status }), Direction::Outbound),
        (json!({ "direction": "inbound", "statuses": status }), Direction::Inbound),
        (json!({}), Direction::Inbound),
    ] {
        let body = json!({ "message": { "id": "wamid.1", "kapso": kapso }, "phone_number_id": "2" });
        assert_eq!(message(&decoded(body.to_string())).direction, Some(direction), "{body}");
    }
}

#[test]
fn a_reaction_of_nobody_is_not_the_businesss() {
    let reaction = |direction: &str, from: Value| {
        let body = json!({ "message": {
            "id": "wamid.1", "type": "reaction", "from": from, "reaction": { "message_id": "wamid.0", "emoji": "👍" },
            "kapso": { "direction": direction },
        } });
        decoded(body.to_string())
            .events
            .iter()
            .filter(|event| matches!(event.fact, Fact::Reaction(_)))
            .count()
    };
    assert_eq!(reaction("inbound", json!("549")), 1);
    assert_eq!(reaction("outbound", json!(null)), 1);
    assert_eq!(reaction("inbound", json!(null)), 0);
}

#[test]
fn a_kind_that_we_do_not_know_is_counted_and_what_it_says_all_the_same_is_kept() {
    for (body, events) in [
        (json!({ "event": "whatsapp.conversation.merged", "conversation": { "id": "c" } }), 1),
        (json!({ "event": "whatsapp.contact.blocked", "contact": { "wa_id": "549" } }), 1),
        (json!({ "event": "whatsapp.message.starred" }), 0),
        (json!({ "event": "whatsapp.conversation.merged" }), 0),
        (json!({ "event": "agent_execution_ended", "agent_execution": { "id": "e" } }), 0),
        (json!({ "event": "a".repeat(300) + ".b" }), 0),
        (json!({ "event_type": "message.pinned", "payload": {} }), 0),
        (json!({ "hola": "mundo" }), 0),
    ] {
        let decoded = decoded_bare(&body);
        assert_eq!((decoded.events.len(), decoded.not_understood), (events, 1), "{body}");
        assert_eq!(decoded.undecodable, []);
    }
}

#[test]
fn an_agent_of_the_older_sort_hands_over_by_any_of_the_likely_fields() {
    let handoff = |mut body: Value| {
        body["event"] = json!("agent_execution_handoff");
        let decoded = decoded_bare(&body);
        let told = decoded.events.into_iter().find_map(|event| match event.fact {
            Fact::Subject(subject) => Some((subject.id, subject.event, subject.conversation)),
            _ => None,
        });
        (told, decoded.undecodable.len())
    };
    let told = |id: &str, conversation: Option<&str>| {
        (Some((id.to_owned(), "handoff".to_owned(), conversation.map(str::to_owned))), 0)
    };
    for (body, expected) in [
        (json!({ "agent_execution": { "id": "e", "whatsapp_conversation_id": "c" } }), told("e", Some("c"))),
        (json!({ "agent_execution_id": "e", "conversation_id": "c" }), told("e", Some("c"))),
        (json!({ "agent_execution": { "id": "e", "conversation": { "id": "c" } } }), told("e", Some("c"))),
        (json!({ "conversation": { "id": "c" } }), told("c", Some("c"))),
        (json!({ "agent_execution": { "id": "e" } }), told("e", None)),
        (json!({ "status": "handoff" }), (None, 1)),
    ] {
        assert_eq!(handoff(body.clone()), expected, "{body}");
    }
}

#[test]
fn a_kind_that_we_know_without_what_it_is_about_is_a_dead_letter() {
    for kind in [
        "message.received",
        "conversation.ended",
        "contact.identity_changed",
        "account.disabled",
        "kapso_agent.run.failed",
    ] {
        let decoded = decoded_bare(&json!({ "event": format!("whatsapp.{kind}") }));
        let reasons: Vec<_> = decoded.undecodable.iter().map(|letter| letter.reason.as_str()).collect();
        assert_eq!(
            (decoded.events.len(), decoded.not_understood, reasons.len()),
            (0, 0, 1),
            "{kind}: {reasons:?}"
        );
    }
}

#[test]
fn every_status_of_the_first_dialect_names_one_message() {
    for (status, progress) in
        [("sent", Progress::Sent), ("delivered", Progress::Delivered), ("read", Progress::Read)]
    {
        let body = json!({
            "message": {
                "id": format!("uuid-{status}"), "whatsapp_message_id": "wamid.1", "message_type": "text",
                "direction": "outbound", "status": status, "metadata": { "timestamp": "1754335351" },
            },
            "whatsapp_config": { "phone_number_id": "2" },
        });
        let found = decoded_bare(&body);
        let told = found.events.iter().find_map(|event| match &event.fact {
            Fact::Status(status) => Some((status.names.clone(), status.progress)),
            _ => None,
        });
        assert_eq!(told, Some((vec!["wamid.1".to_owned(), format!("uuid-{status}")], progress)));
    }
}

#[test]
fn what_is_not_json_is_a_dead_letter_of_the_whole() {
    let bodies: [&[u8]; 6] = [b"", b"{", b"esto no es JSON", b"\xff\xfe\x00", b"{}x", b"\xef\xbb\xbf{"];
    for body in bodies {
        let decoded = decoded(body);
        let [letter] = decoded.undecodable.as_slice() else { panic!("{decoded:?}") };
        assert_eq!(letter.item, None);
        assert!(letter.reason.starts_with("the body is not JSON: "), "{}", letter.reason);
        assert!(decoded.events.is_empty() && decoded.dialect.is_none());
    }
}

/// One byte costs one character, and not the batch.
#[test]
fn what_is_no_utf_8_in_a_text_is_replaced() {
    let decoded = decoded(
        b"{\"event_type\":\"message.received\",\"conversation_id\":\"c\",\"message_id\":\"m\",
           \"payload\":{\"from\":\"56911110001\",\"content\":\"qu\xe9 hora\"}}",
    );
    assert!(decoded.undecodable.is_empty(), "{decoded:?}");
    let told = format!("{:?}", decoded.events);
    assert!(told.contains("qu\u{FFFD} hora"), "{told}");
}
