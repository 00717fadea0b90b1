//! Batches in all their forms: an item is the same wherever it comes, and a bad one costs
//! itself only.

use serde_json::{Value, json};
use worker::decode::Decoded;
use worker::event::{Dialect, Fact};

use crate::received::{decoded, decoded_bare};

fn item(number: usize) -> Value {
    let message = json!({
        "id": format!("wamid.{number}"), "timestamp": "1771421467", "type": "text", "from": "5491155500457",
        "text": { "body": format!("hola {number}") }, "kapso": { "direction": "inbound" },
    });
    json!({ "message": message, "conversation": { "id": "c" }, "phone_number_id": "2" })
}

fn message_ids(decoded: &Decoded) -> Vec<String> {
    let names = decoded.events.iter().filter_map(|event| match &event.fact {
        Fact::Message(message) => Some(message.names.concat()),
        _ => None,
    });
    names.collect()
}

fn dead_letters(decoded: &Decoded) -> Vec<(Option<&str>, &str)> {
    decoded.undecodable.iter().map(|letter| (letter.item.as_deref(), letter.reason.as_str())).collect()
}

#[test]
fn every_wrapper_holds_the_same_items() {
    let two = json!([item(1), item(2)]);
    let kind = "whatsapp.message.received";
    let wrapped = [
        two.clone(),
        json!({ "type": kind, "batch": true, "data": two, "batch_info": { "size": 2 } }),
        json!({ "type": kind, "data": two }),
        json!({ "event": kind, "data": two }),
        json!({ "data": two }),
        json!([{ "event": kind, "data": item(1) }, { "type": kind, "data": [item(2)] }]),
        json!([[item(1)], [[item(2)]]]),
    ];
    for body in wrapped {
        let decoded = decoded_bare(&body);
        assert_eq!(message_ids(&decoded), ["wamid.1", "wamid.2"], "{body}");
        assert_eq!((decoded.dialect, decoded.not_understood), (Some(Dialect::KapsoV2), 0));
        assert_eq!(decoded.undecodable, []);
    }
    for body in [json!({ "event": kind, "data": item(1) }), json!({ "data": item(1) })] {
        assert_eq!(message_ids(&decoded_bare(&body)), ["wamid.1"], "{body}");
    }
}

#[test]
fn an_item_with_a_field_called_data_is_no_wrapper() {
    let mut with_data = item(1);
    with_data["data"] = json!([1, 2, 3]);
    let decoded = decoded(with_data.to_string());
    assert_eq!(message_ids(&decoded), ["wamid.1"]);
    assert_eq!(decoded.undecodable, []);
}

#[test]
fn an_empty_batch_says_nothing() {
    for body in ["[]", r#"{"type":"whatsapp.message.received","batch":true,"data":[]}"#, r#"{"entry":[]}"#] {
        let decoded = decoded(body);
        assert_eq!(
            (decoded.events.len(), decoded.not_understood, decoded.undecodable.len()),
            (0, 0, 0),
            "{body}"
        );
    }
}

#[test]
fn one_bad_item_in_a_hundred_is_one_dead_letter() {
    const BAD: usize = 3;
    let reason = "it is no JSON object";
    let long = "x".repeat(513);
    let cases = [
        (json!("a sentence"), reason),
        (json!(7), reason),
        (json!(null), reason),
        (json!(true), reason),
        (
            json!({ "message": null, "conversation": { "id": "c" } }),
            "the event message.received carries no message",
        ),
        (json!({ "message": { "id": long, "type": "text" } }), "the message's id is longer than 512 bytes"),
        (
            json!({ "message": { "id": "m" }, "conversation": { "id": long } }),
            "the conversation's id is longer than 512 bytes",
        ),
        (json!({ "message": { "from": "7".repeat(513) } }), "the contact's id is longer than 512 bytes"),
    ];
    for (bad, reason) in cases {
        let items: Vec<Value> =
            (0..100).map(|number| if number == BAD { bad.clone() } else { item(number) }).collect();
        let decoded =
            decoded(json!({ "type": "whatsapp.message.received", "batch": true, "data": items }).to_string());
        let others: Vec<String> =
            (0..100).filter(|number| *number != BAD).map(|number| format!("wamid.{number}")).collect();
        assert_eq!(message_ids(&decoded), others);
        assert_eq!(dead_letters(&decoded), [(Some("data[3]"), reason)]);
        assert_eq!(decoded.not_understood, 0);
    }
}

/// What serde_json itself refuses would cost the whole batch.
#[test]
fn json_that_is_odd_in_one_item_costs_the_others_nothing() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for odd in ["\"\\ud800\"", "1e999", &deep] {
        let body = format!("[{},{{\"message\":{{\"id\":\"odd\",\"x\":{odd}}}}},{}]", item(1), item(2));
        let decoded = decoded(body);
        assert_eq!(message_ids(&decoded), ["wamid.1", "odd", "wamid.2"]);
        assert_eq!(decoded.undecodable, []);
    }
}

#[test]
fn a_list_within_lists_has_an_end() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(dead_letters(&decoded(deep)), [(Some("[0][0][0]"), "it is no JSON object")]);
}

#[test]
fn items_of_the_other_dialects_come_in_lists_too() {
    let guide =
        json!({ "event_type": "message.received", "message_id": "m", "payload": { "content": "hola" } });
    let v1 = json!({ "message": { "id": "u", "message_type": "text", "content": "hola" }, "whatsapp_config": { "id": "w" } });
    let status = json!({ "id": "wamid.1", "status": "read", "timestamp": "1771421467" });
    let meta =
        json!({ "entry": [{ "changes": [{ "field": "messages", "value": { "statuses": [status, 7] } }] }] });
    for (one, dialect, dead) in [
        (guide, Dialect::Guide, vec![]),
        (v1, Dialect::KapsoV1, vec![]),
        (
            meta,
            Dialect::Meta,
            vec!["[0].entry[0].changes[0].value.statuses[1]", "[1].entry[0].changes[0].value.statuses[1]"],
        ),
    ] {
        let decoded = decoded_bare(&json!([one, one]));
        assert_eq!((decoded.dialect, decoded.not_understood), (Some(dialect), 0));
        assert_eq!(message_ids(&decoded).len(), 2, "{dialect:?}");
        let places: Vec<_> = dead_letters(&decoded).into_iter().filter_map(|(place, _)| place).collect();
        assert_eq!(places, dead);
    }
}
