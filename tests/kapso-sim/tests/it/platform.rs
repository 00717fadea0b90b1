use kapso_sim::{Dialect, InboundMessage, SimConfig, Statuses, sign};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PATIENCE, api::call, config, receiver::Receiver, start};

#[tokio::test]
async fn a_webhook_is_registered_and_resumed() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { webhook_url: None, statuses: Statuses::NONE, ..config(&receiver) }).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    assert_eq!(call("GET", &url, None).await.1["meta"]["total_count"], 0);

    let register = |events: Value| {
        Some(json!({ "whatsapp_webhook": {
            "url": receiver.url(), "kind": "kapso", "payload_version": "v2",
            "events": events, "secret_key": "registered",
        }}))
    };
    let (status, refused) = call("POST", &url, register(json!(["message.received"]))).await;
    assert_eq!(status, 422);
    assert_eq!(refused["error"], "Events contains unsupported events: \"message.received\"");
    let (status, made) = call("POST", &url, register(json!(["whatsapp.message.received"]))).await;
    assert_eq!((status, &made["data"]["active"]), (StatusCode::CREATED, &json!(true)));

    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    // Not registered for this one.
    assert!(sim.end_conversation(&ids.conversation_id));
    assert!(sim.idle(PATIENCE).await);
    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].header("X-Webhook-Signature"), Some(sign("registered", &got[0].body).as_str()));

    sim.set_paused(true);
    let (_, listed) = call("GET", &url, None).await;
    assert_eq!(listed["data"][0]["active"], false);
    assert!(listed["data"][0].get("secret_key").is_none());
    let one = format!("{url}/{}", listed["data"][0]["id"].as_str().unwrap());
    let resume = json!({ "whatsapp_webhook": { "active": true } });
    assert_eq!(call("PATCH", &one, Some(resume)).await.1["data"]["active"], true);
    assert!(!sim.is_paused());
    assert_eq!(call("DELETE", &one, None).await.0, 200);
    assert_eq!(call("GET", &one, None).await.0, 404);
}

#[tokio::test]
async fn the_platform_lists_deliveries_and_messages() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    let base = sim.platform_url();
    let (_, listed) = call("GET", &format!("{base}/webhook_deliveries?status=delivered"), None).await;
    assert_eq!(listed["data"][0]["event"], "whatsapp.message.received");
    assert_eq!(listed["data"][0]["response_status"], 200);
    assert_eq!(call("GET", &format!("{base}/webhook-deliveries"), None).await.0, 404);
    let (_, listed) = call("GET", &format!("{base}/whatsapp/messages?direction=inbound"), None).await;
    assert_eq!(listed["data"][0]["id"], ids.wamid.as_str());
    assert_eq!(call("GET", &format!("{base}/whatsapp/messages?limit=101"), None).await.0, 400);
    let (_, one) = call("GET", &format!("{base}/whatsapp/messages/{}", ids.wamid), None).await;
    assert_eq!(one["data"]["text"]["body"], "Hola");
    let (_, numbers) = call("GET", &format!("{base}/whatsapp/phone_numbers"), None).await;
    assert_eq!(numbers["data"][0]["phone_number_id"], sim.line().phone_number_id.as_str());
}

#[tokio::test]
async fn a_second_webhook_is_told_the_same() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let sim = start(SimConfig { dialect: Dialect::V2, statuses: Statuses::NONE, ..config(&first) }).await;
    let number = &sim.line().phone_number_id;
    let url = format!("{}/whatsapp/phone_numbers/{number}/webhooks", sim.platform_url());
    let register = json!({ "whatsapp_webhook": {
        "url": second.url(), "events": ["whatsapp.message.received"], "secret_key": "another",
    }});
    let (status, made) = call("POST", &url, Some(register)).await;
    assert_eq!(status, StatusCode::CREATED);
    let _ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    let got = second.got();
    assert_eq!((first.got().len(), got.len()), (1, 1));
    assert_eq!(got[0].header("X-Webhook-Signature"), Some(sign("another", &got[0].body).as_str()));

    // Its deliveries are its own, and so is its pause.
    let id = made["data"]["id"].as_str().unwrap();
    let deliveries = format!("{}/webhook_deliveries?webhook_id={id}", sim.platform_url());
    assert_eq!(call("GET", &deliveries, None).await.1["data"].as_array().unwrap().len(), 1);
    let one = format!("{}/whatsapp/webhooks/{id}", sim.platform_url());
    let pause = json!({ "whatsapp_webhook": { "active": false } });
    assert_eq!(call("PATCH", &one, Some(pause)).await.1["data"]["active"], false);
    let _ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    assert_eq!((first.got().len(), second.got().len()), (2, 1));
    assert_eq!(call("DELETE", &one, None).await.0, 200);
    assert_eq!(call("GET", &url, None).await.1["meta"]["total_count"], 1);
    let unknown = url.replace(number.as_str(), "0");
    assert_eq!(call("GET", &unknown, None).await.0, 404);
}

#[tokio::test]
async fn a_test_event_is_sent_and_listed_nowhere() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    let (_, listed) = call("GET", &url, None).await;
    let test =
        |event: &str| format!("{url}/{}/test?event_type={event}", listed["data"][0]["id"].as_str().unwrap());
    assert_eq!(call("POST", &test("whatsapp.message.read"), None).await.0, 200);
    assert_eq!(call("POST", &test("message.read"), None).await.0, 422);
    assert_eq!(call("POST", &format!("{url}/no-such/test"), None).await.0, 404);
    assert!(sim.idle(PATIENCE).await);
    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].header("X-Webhook-Event"), Some("whatsapp.message.read"));
    let (_, messages) = call("GET", &format!("{}/whatsapp/messages", sim.platform_url()), None).await;
    assert_eq!(messages["data"], json!([]));
}

#[tokio::test]
async fn a_pause_is_a_change_and_a_number_has_a_health() {
    let receiver = Receiver::start();
    // Nobody listens there.
    let nowhere = Some("http://127.0.0.1:9/".to_owned());
    let sim = start(SimConfig { auto_pause: true, webhook_url: nowhere, ..config(&receiver) }).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    let before = call("GET", &url, None).await.1["data"][0]["updated_at"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for contact in 0..10 {
        let _ids = sim.inbound(InboundMessage::text(format!("+5691234567{contact}"), "Hola"));
    }
    assert!(sim.idle(PATIENCE).await && sim.is_paused());
    let (_, after) = call("GET", &url, None).await;
    assert_eq!(after["data"][0]["active"], false);
    assert_ne!(after["data"][0]["updated_at"], before);
    let number = &sim.line().phone_number_id;
    let health = format!("{}/whatsapp/phone_numbers/{number}/health", sim.platform_url());
    assert_eq!(call("GET", &health, None).await.1["checks"]["webhook_verified"]["passed"], true);
}
