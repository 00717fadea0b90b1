//! Our own dialect tells of a message what a webhook of Kapso's would have told.

use serde_json::{Value, json};
use worker::event::{Dialect, Fact, Listing};

use crate::received::decoded_bare;

/// A webhook of Kapso's, its message as our dialect has it, and the webhook's other facts.
fn listed(api: &str, webhook: &Value) -> Value {
    let mut listed = webhook.clone();
    listed["event"] = json!("message.listed");
    listed["api"] = json!(api);
    listed
}

fn examples(folder: &str) -> Vec<Value> {
    let examples = payloads::all().unwrap().into_iter();
    let of_messages = examples.filter(|it| {
        let name = it.name.strip_prefix(folder).and_then(|name| name.strip_prefix('/'));
        name.is_some_and(|name| name.starts_with("whatsapp.message."))
    });
    of_messages.map(|it| serde_json::from_slice(&it.body).unwrap()).filter(Value::is_object).collect()
}

#[test]
fn it_tells_what_the_webhook_told() {
    for (folder, api, listing) in [
        ("kapso-v1", "conversation_api", Listing::ConversationApi),
        ("kapso-v2", "meta_proxy", Listing::MetaProxy),
    ] {
        let mut compared = 0;
        for webhook in examples(folder).iter().filter(|it| it.get("message").is_some()) {
            // What the body says of its direction is all there is: the kind says nothing.
            let direction = ["/message/direction", "/message/kapso/direction"];
            if direction.iter().all(|place| webhook.pointer(place).is_none()) {
                continue;
            }
            let (told, listed) = (decoded_bare(webhook), decoded_bare(&listed(api, webhook)));
            assert_eq!(listed.dialect, Some(Dialect::Backfill(listing)));
            assert_eq!(listed.events, told.events, "{webhook}");
            assert_eq!(listed.undecodable, []);
            compared += 1;
        }
        assert!(compared >= 5, "{folder}: only {compared} compared");
    }
}

#[test]
fn it_ranks_as_the_dialect_that_its_api_speaks() {
    assert_eq!(Dialect::Backfill(Listing::MetaProxy).rank(), Dialect::KapsoV2.rank());
    assert_eq!(Dialect::Backfill(Listing::ConversationApi).rank(), Dialect::KapsoV1.rank());
}

#[test]
fn only_our_own_wrapper_is_one() {
    let message = json!({ "id": "wamid.1", "type": "text", "kapso": { "direction": "inbound" } });
    for (event, api) in [("message.listed", json!("other")), ("message.received", json!("meta_proxy"))] {
        let body = json!({ "event": event, "api": api, "message": message });
        assert_eq!(decoded_bare(&body).dialect, Some(Dialect::KapsoV2), "{body}");
    }
    let empty = decoded_bare(&json!({ "event": "message.listed", "api": "meta_proxy" }));
    assert_eq!(
        empty.undecodable.first().map(|it| it.reason.as_str()),
        Some("the event message.listed carries no message")
    );
    let names = |body: &Value| -> Vec<String> {
        let events = decoded_bare(body).events.into_iter();
        events
            .filter_map(|event| if let Fact::Message(it) = event.fact { Some(it.names) } else { None })
            .flatten()
            .collect()
    };
    let body = json!({ "event": "message.listed", "api": "meta_proxy", "message": message });
    assert_eq!(names(&body), ["wamid.1"]);
}
