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
