use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::story::{Contact, Content, Conversation, Direction, Message, MessageError, Status, StatusChange};

fn contact() -> Contact {
    Contact {
        id: "ctc-1".to_owned(),
        number: Some("56912345678".to_owned()),
        name: Some("Juan Pérez".to_owned()),
        bsuid: Some("CL.1".to_owned()),
        created_at: datetime!(2025-10-26 10:00 UTC),
    }
}

fn message(direction: Direction, content: Content) -> Message {
    let mut conversation = Conversation::open(contact(), datetime!(2025-10-26 10:30 UTC));
    conversation.id = "conv-abc123".to_owned();
    Message {
        id: "msg-xyz789".to_owned(),
        wamid: "wamid.X".to_owned(),
        direction,
        conversation,
        is_new_conversation: true,
        content,
        at: datetime!(2025-10-26 10:30 UTC),
        context: None,
        referral: None,
        origin: "cloud_api".to_owned(),
        callback_data: None,
        statuses: Vec::new(),
    }
}

fn line() -> Line {
    Line { number: "56987654321".to_owned(), phone_number_id: "123".to_owned(), ..Line::default() }
}

fn received(text: &str) -> Event {
    Event::received(message(Direction::Inbound, Content::text(text)))
}

fn status(status: Status, error: Option<MessageError>) -> Event {
    let change = StatusChange { status, at: datetime!(2025-10-26 10:30:05 UTC), error };
    let mut message = message(Direction::Outbound, Content::text("¿En qué puedo ayudarte?"));
    message.callback_data = Some("reply:42".to_owned());
    Event::status(message, change)
}

fn built(dialect: Dialect, event: &Event) -> (String, Value) {
    let webhook = webhook(dialect, &line(), event);
    webhook.map_or_else(Default::default, |webhook| {
        (webhook.kind, serde_json::from_slice(&webhook.body).unwrap_or_default())
    })
}

#[test]
fn the_guide_shows_a_received_message_so() {
    let expected = json!({
        "event_type": "message.received",
        "conversation_id": "conv-abc123",
        "message_id": "msg-xyz789",
        "timestamp": "2025-10-26T10:30:00Z",
        "payload": {
            "from": "+56912345678",
            "to": "+56987654321",
            "content": "Hola, necesito ayuda",
            "message_type": "text",
            "timestamp": "2025-10-26T10:30:00Z",
            "contact": { "id": "ctc-1", "phone_number": "+56912345678", "display_name": "Juan Pérez" },
        },
    });
    assert_eq!(
        built(Dialect::Guide, &received("Hola, necesito ayuda")),
        ("message.received".to_owned(), expected)
    );
}

#[test]
fn the_guide_shows_statuses_so() {
    let payload =
        |status_change, error| built(Dialect::Guide, &status(status_change, error)).1["payload"].clone();
    assert_eq!(payload(Status::Sent, None), json!({ "status": "sent", "message_type": "text" }));
    assert_eq!(payload(Status::Delivered, None), json!({ "status": "delivered" }));
    assert_eq!(payload(Status::Read, None), json!({ "status": "read" }));
    let error =
        MessageError { code: 131_047, title: "Re-engagement message".to_owned(), details: "Late".to_owned() };
    let failed = payload(Status::Failed, Some(error));
    assert_eq!(
        failed["error"],
        json!({ "code": 131_047, "message": "Re-engagement message", "details": "Late" })
    );
}

#[test]
fn the_guide_knows_eight_kinds() {
    let at = datetime!(2025-10-26 10:30 UTC);
    let mut ended = Conversation::open(contact(), at);
    ended.ended = true;
    let kinds: Vec<String> = [
        received("x"),
        status(Status::Sent, None),
        status(Status::Delivered, None),
        status(Status::Read, None),
        status(Status::Failed, None),
        Event { at, fact: Fact::ConversationEnded(ended) },
        Event { at, fact: Fact::ContactCreated(contact()) },
        Event { at, fact: Fact::ContactUpdated(contact(), None) },
    ]
    .iter()
    .map(|event| built(Dialect::Guide, event).0)
    .collect();
    assert_eq!(
        kinds,
        [
            "message.received",
            "message.sent",
            "message.delivered",
            "message.read",
            "message.failed",
            "conversation.status_changed",
            "contact.created",
            "contact.updated",
        ]
    );
}

#[test]
fn v2_has_a_message_with_kapso_in_it() {
    let (kind, body) = built(Dialect::V2, &received("Hola"));
    assert_eq!(kind, "whatsapp.message.received");
    let root: Vec<&String> = body.as_object().map(|body| body.keys().collect()).unwrap_or_default();
    assert_eq!(root, ["conversation", "is_new_conversation", "message", "phone_number_id"]);
    assert_eq!(
        body["message"],
        json!({
            "id": "wamid.X",
            "timestamp": "1761474600",
            "type": "text",
            "from": "56912345678",
            "from_user_id": "CL.1",
            "context": null,
            "text": { "body": "Hola" },
            "kapso": {
                "direction": "inbound",
                "status": "received",
                "processing_status": "pending",
                "origin": "cloud_api",
                "has_media": false,
                "content": "Hola",
            },
        })
    );
    assert_eq!(body["conversation"]["kapso"]["last_message_id"], "wamid.X");
}

#[test]
fn v2_statuses_repeat_what_meta_said() {
    let (kind, body) = built(Dialect::V2, &status(Status::Delivered, None));
    assert_eq!(kind, "whatsapp.message.delivered");
    let raw = &body["message"]["kapso"]["statuses"][0];
    assert_eq!(raw["status"], "delivered");
    assert_eq!(raw["recipient_id"], "56912345678");
    assert_eq!(raw["biz_opaque_callback_data"], "reply:42");
    assert_eq!(body["message"]["to"], "56912345678");
    assert!(body["conversation"].get("kapso").is_none());
}

#[test]
fn v1_is_flat_and_has_both_names() {
    let (_, body) = built(Dialect::V1, &received("Hola"));
    assert_eq!(body["message"]["id"], "msg-xyz789");
    assert_eq!(body["message"]["whatsapp_message_id"], "wamid.X");
    assert_eq!(body["message"]["metadata"]["timestamp"], "1761474600");
    assert_eq!(body["whatsapp_config"]["phone_number_id"], "123");
    assert_eq!(body["is_new_conversation"], true);
    let (kind, body) = built(Dialect::V1, &status(Status::Read, None));
    assert_eq!((kind.as_str(), &body["message"]["status"]), ("whatsapp.message.read", &json!("read")));
}

#[test]
fn meta_wraps_everything() {
    let (_, body) = built(Dialect::Meta, &received("Olá"));
    assert_eq!(body["object"], "whatsapp_business_account");
    let value = &body["entry"][0]["changes"][0]["value"];
    assert_eq!(value["messages"][0]["id"], "wamid.X");
    assert_eq!(
        value["contacts"][0],
        json!({ "profile": { "name": "Juan Pérez" }, "wa_id": "56912345678", "user_id": "CL.1" })
    );
    let (_, body) = built(Dialect::Meta, &status(Status::Sent, None));
    assert_eq!(body["entry"][0]["changes"][0]["value"]["statuses"][0]["status"], "sent");
}

#[test]
fn meta_has_no_word_for_contacts() {
    let event = Event { at: datetime!(2025-10-26 10:30 UTC), fact: Fact::ContactCreated(contact()) };
    assert!(webhook(Dialect::Meta, &line(), &event).is_none());
    let both = meta_many(&line(), &[event, received("x")]);
    let body: Value = both.and_then(|both| serde_json::from_slice(&both.body).ok()).unwrap_or_default();
    assert_eq!(body["entry"][0]["changes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn every_type_has_its_body_under_its_own_name() {
    for kind in [
        "image", "video", "audio", "document", "sticker", "location", "contacts", "button", "order", "system",
    ] {
        let content = Content::sample(kind, "x").map(|content| message(Direction::Inbound, content));
        let event = content.map(Event::received);
        let bodies = Dialect::ALL
            .map(|dialect| event.as_ref().map(|event| built(dialect, event).1).unwrap_or_default());
        let [guide, v1, v2, _, meta] = bodies;
        assert_eq!(guide["payload"]["message_type"], kind);
        assert_eq!(v1["message"]["message_type"], kind);
        assert!(!v2["message"][kind].is_null(), "{kind}: {v2}");
        assert!(!meta["entry"][0]["changes"][0]["value"]["messages"][0][kind].is_null(), "{kind}");
    }
}

#[test]
fn a_batch_of_one_is_still_a_batch() {
    let info = BatchInfo { window_ms: 5000, first_sequence: 7, last_sequence: 7 };
    let batch = batch(&line(), &[received("solo uno")], &info);
    let body: Value = serde_json::from_slice(&batch.body).unwrap_or_default();
    assert_eq!(body["batch"], true);
    assert_eq!(body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        body["batch_info"],
        json!({
            "size": 1,
            "window_ms": 5000,
            "first_sequence": 7,
            "last_sequence": 7,
            "conversation_id": "conv-abc123",
        })
    );
    let headers = batch.headers("key", &Secrets::default());
    assert!(headers.contains(&("X-Batch-Size", "1".to_owned())));
    assert!(headers.contains(&("X-Webhook-Batch", "true".to_owned())));
}

#[test]
fn each_dialect_signs_in_its_own_header() {
    let secrets = Secrets { webhook: Some("s".to_owned()), meta_app: Some("app".to_owned()) };
    let signatures = |dialect, secrets: &Secrets| -> Vec<&'static str> {
        let webhook = webhook(dialect, &line(), &received("x"));
        let headers = webhook.map(|webhook| webhook.headers("key", secrets)).unwrap_or_default();
        headers.into_iter().map(|(name, _)| name).filter(|name| name.contains("Signature")).collect()
    };
    assert_eq!(signatures(Dialect::Guide, &secrets), ["X-Kapso-Signature"]);
    assert_eq!(signatures(Dialect::V1, &secrets), ["X-Webhook-Signature"]);
    assert_eq!(signatures(Dialect::V2, &secrets), ["X-Webhook-Signature"]);
    assert_eq!(signatures(Dialect::Meta, &secrets), ["X-Hub-Signature-256"]);
    let kapso_only = Secrets { meta_app: None, ..secrets };
    assert_eq!(signatures(Dialect::Meta, &kapso_only), ["X-Webhook-Signature"]);
    let none = Secrets { webhook: Some(String::new()), meta_app: None };
    assert!(signatures(Dialect::V2, &none).is_empty());
}

#[test]
fn dialects_are_named_as_they_are_parsed() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.to_string().parse(), Ok(dialect));
        assert_eq!(serde_json::to_value(dialect).ok(), Some(json!(dialect.as_str())));
    }
    assert!("v3".parse::<Dialect>().is_err());
}
