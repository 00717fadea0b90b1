use kapso_sim::{Dialect, InboundMessage, Sim, SimConfig, Statuses};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PATIENCE, client, config, receiver::Receiver, start};

/// A call with the key `key`: the status and the body of the answer.
pub(crate) async fn call(method: &str, url: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = client().request(method.parse().unwrap(), url).header("X-API-Key", "key");
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

pub(crate) fn text_in_conversation(text: &str) -> Option<Value> {
    Some(json!({ "message": { "content": text, "message_type": "text" } }))
}

pub(crate) fn send_url(sim: &Sim, conversation: &str) -> String {
    format!("{}/whatsapp_conversations/{conversation}/whatsapp_messages", sim.conversation_api_url())
}

pub(crate) fn proxy_url(sim: &Sim) -> String {
    format!("{}/{}/messages", sim.meta_proxy_url(), sim.line().phone_number_id)
}

pub(crate) fn proxy_text(to: &str, text: &str) -> Option<Value> {
    Some(json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": "text",
        "text": { "body": text },
        "biz_opaque_callback_data": "reply:42",
    }))
}

#[tokio::test]
async fn the_guides_whole_story() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola, necesito ayuda"));

    let (status, answer) =
        call("POST", &send_url(&sim, &ids.conversation_id), text_in_conversation("¿En qué puedo ayudarte?"))
            .await;
    assert_eq!(status, 201);
    let data = &answer["data"];
    assert_eq!(data["content"], "¿En qué puedo ayudarte?");
    assert_eq!(data["direction"], "outbound");
    assert_eq!(data["phone_number"], "+56912345678");
    assert_eq!(data["whatsapp_message_id"], Value::Null);

    let mark = format!("{}/whatsapp_messages/{}/mark_as_read", sim.conversation_api_url(), ids.message_id);
    let (status, answer) = call("PATCH", &format!("{mark}?typing_indicator=true"), None).await;
    assert_eq!((status, &answer["data"]["status"]), (StatusCode::OK, &json!("read")));

    assert!(sim.idle(PATIENCE).await);
    let mut told: Vec<_> = receiver
        .got()
        .iter()
        .map(Received::from)
        .filter(|told| told.message_id == data["id"])
        .map(|told| told.kind)
        .collect();
    // Kapso keeps no order between them, and a busy machine may not either.
    told.sort();
    assert_eq!(told, ["message.delivered", "message.read", "message.sent"]);

    let sends = sim.accepted_sends();
    assert_eq!(sends.len(), 1);
    assert_eq!(sends[0].conversation_id, ids.conversation_id);
    assert_eq!(sends[0].text.as_deref(), Some("¿En qué puedo ayudarte?"));
    let marks = sim.accepted_marks();
    assert_eq!((marks[0].message.as_str(), marks[0].typing), (ids.message_id.as_str(), true));
    assert!(sim.calls().iter().all(|call| call.accepted && call.api_key.as_deref() == Some("key")));
}

struct Received {
    kind: String,
    message_id: Value,
}

impl From<&super::receiver::Got> for Received {
    fn from(got: &super::receiver::Got) -> Self {
        let body = got.json();
        Self { kind: body["event_type"].as_str().unwrap().to_owned(), message_id: body["message_id"].clone() }
    }
}

#[tokio::test]
async fn the_conversation_api_refuses_in_kapsos_shape() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { api_key: Some("key".to_owned()), ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("1", "Hola"));
    let url = send_url(&sim, &ids.conversation_id);

    let answer = client().post(&url).header("X-API-Key", "wrong").json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "error": "Invalid or missing API key" }));
    assert_eq!(client().post(&url).send().await.unwrap().status(), 401);

    assert_eq!(call("POST", &url, Some(json!({}))).await.0, 400);
    assert_eq!(call("POST", &url, text_in_conversation("  ")).await.0, 422);
    assert_eq!(call("POST", &url, text_in_conversation(&"ñ".repeat(4097))).await.0, 422);
    assert_eq!(call("POST", &url, text_in_conversation(&"ñ".repeat(4096))).await.0, 201);
    let (status, answer) = call("POST", &send_url(&sim, "nobody"), text_in_conversation("x")).await;
    assert_eq!((status, answer), (StatusCode::NOT_FOUND, json!({ "error": "Conversation not found" })));
    let mark = format!("{}/whatsapp_messages/nobody/mark_as_read", sim.conversation_api_url());
    assert_eq!(call("PATCH", &mark, None).await.0, 404);
    let wrong = format!("{}/whatsapp_messages/mark_read", sim.conversation_api_url());
    assert_eq!(call("POST", &wrong, Some(json!({}))).await.0, 404);

    assert_eq!(sim.accepted_sends().len(), 1);
    assert_eq!(sim.calls().iter().filter(|call| call.accepted).count(), 1);
    assert_eq!(sim.calls().len(), 9);
}

#[tokio::test]
async fn a_lenient_simulator_takes_any_id() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { lenient: true, ..config(&receiver) }).await;
    assert_eq!(call("POST", &send_url(&sim, "test-conv-123"), text_in_conversation("Hola")).await.0, 201);
    let mark = format!("{}/whatsapp_messages/test-msg-456/mark_as_read", sim.conversation_api_url());
    let (status, answer) = call("PATCH", &mark, None).await;
    assert_eq!((status, &answer["data"]["status"]), (StatusCode::OK, &json!("read")));
    assert_eq!(sim.accepted_sends()[0].conversation_id, "test-conv-123");
    assert_eq!(sim.accepted_marks()[0].message, "test-msg-456");
}

#[tokio::test]
async fn a_send_to_a_number_finds_its_conversation() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    let url = format!("{}/whatsapp_messages", sim.conversation_api_url());
    let body = |number: &str| Some(json!({ "message": { "phone_number": number, "content": "x" } }));
    assert_eq!(call("POST", &url, body("+56 9 1234 5678")).await.0, 201);
    assert_eq!(sim.accepted_sends()[0].conversation_id, ids.conversation_id);
    assert_eq!(call("POST", &url, body("nobody")).await.0, 422);
}

#[tokio::test]
async fn the_proxy_sends_and_echoes() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    let (status, answer) = call("POST", &proxy_url(&sim), proxy_text("56912345678", "¿Sí?")).await;
    assert_eq!(status, 200);
    assert_eq!(answer["contacts"], json!([{ "input": "56912345678", "wa_id": "56912345678" }]));
    assert_eq!(answer["messages"][0]["message_status"], "accepted");
    let wamid = answer["messages"][0]["id"].clone();
    assert!(wamid.as_str().unwrap().starts_with("wamid."));

    assert!(sim.idle(PATIENCE).await);
    let got = receiver.got();
    let of_kind =
        |kind: &str| got.iter().find(|got| got.header("X-Webhook-Event") == Some(kind)).unwrap().json();
    assert_eq!(got.len(), 4);
    for status in ["sent", "delivered", "read"] {
        assert_eq!(of_kind(&format!("whatsapp.message.{status}"))["message"]["kapso"]["status"], status);
    }
    let sent = of_kind("whatsapp.message.sent");
    assert_eq!(sent["message"]["id"], wamid);
    assert_eq!(sent["message"]["kapso"]["statuses"][0]["biz_opaque_callback_data"], "reply:42");
    assert_eq!(sent["conversation"]["id"], ids.conversation_id.as_str());
    assert_eq!(sim.accepted_sends()[0].callback_data.as_deref(), Some("reply:42"));
}

#[tokio::test]
async fn the_proxy_marks_as_read() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    let mark = |id: &str| {
        Some(json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": id,
            "typing_indicator": { "type": "text" },
        }))
    };
    let (status, answer) = call("POST", &proxy_url(&sim), mark(&ids.wamid)).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "success": true })));
    assert!(sim.accepted_marks()[0].typing);
    let (status, answer) = call("POST", &proxy_url(&sim), mark("wamid.nobody")).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(131_009)));
}

#[tokio::test]
async fn the_proxy_refuses_in_metas_shape() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let url = proxy_url(&sim);
    for body in [
        json!({ "to": "56912345678", "type": "text", "text": { "body": "x" } }),
        json!({ "messaging_product": "whatsapp", "type": "text", "text": { "body": "x" } }),
        json!({ "messaging_product": "whatsapp", "to": "56912345678", "type": "text" }),
        json!({ "messaging_product": "whatsapp", "to": "56912345678", "text": { "body": "x".repeat(4097) } }),
        json!({ "messaging_product": "whatsapp", "to": "56912345678", "type": "image" }),
    ] {
        let (status, answer) = call("POST", &url, Some(body.clone())).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(100)), "{body}");
        assert_eq!(answer["error"]["type"], "OAuthException");
        assert!(answer["error"]["error_data"]["details"].is_string());
    }
    assert_eq!(call("POST", &url, proxy_text("12", "x")).await.0, 422);
    let elsewhere = format!("{}/999/messages", sim.meta_proxy_url());
    let (status, answer) = call("POST", &elsewhere, proxy_text("56912345678", "x")).await;
    assert_eq!(
        (status, answer),
        (StatusCode::NOT_FOUND, json!({ "error": "WhatsApp configuration not found" }))
    );
    assert!(sim.accepted_sends().is_empty());
}

#[tokio::test]
async fn a_bsuid_is_answered_without_a_number_and_a_number_wins() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let url = proxy_url(&sim);
    let bsuid = json!({ "messaging_product": "whatsapp", "recipient": "CL.1", "text": { "body": "x" } });
    let (status, answer) = call("POST", &url, Some(bsuid.clone())).await;
    assert_eq!(status, 200);
    assert_eq!(answer["contacts"], json!([{ "input": "CL.1", "wa_id": null, "user_id": "CL.1" }]));
    let mut both = bsuid;
    both["to"] = json!("56912345678");
    let (status, answer) = call("POST", &url, Some(both)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["contacts"], json!([{ "input": "56912345678", "wa_id": "56912345678" }]));
    let to: Vec<_> = sim.accepted_sends().into_iter().map(|send| send.to.unwrap()).collect();
    assert_eq!(to, ["CL.1", "56912345678"]);
}

#[tokio::test]
async fn the_proxy_lists_by_cursor() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    for text in ["uno", "dos", "tres", "cuatro", "cinco"] {
        let _ids = sim.inbound(InboundMessage::text("+56912345678", text));
    }
    call("POST", &proxy_url(&sim), proxy_text("56912345678", "seis")).await;
    let url = format!("{}?direction=inbound&limit=2", proxy_url(&sim));
    let texts = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["text"]["body"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, first) = call("GET", &url, None).await;
    assert_eq!(texts(&first), ["cinco", "cuatro"]);
    assert_eq!(first["paging"]["cursors"]["before"], Value::Null);
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    // What comes in between changes no page.
    let _ids = sim.inbound(InboundMessage::text("+56912345678", "siete"));
    let (_, second) = call("GET", &format!("{url}&after={after}"), None).await;
    assert_eq!(texts(&second), ["tres", "dos"]);
    let after = second["paging"]["cursors"]["after"].as_str().unwrap();
    let (_, third) = call("GET", &format!("{url}&after={after}"), None).await;
    assert_eq!((texts(&third), &third["paging"]["cursors"]["after"]), (vec!["uno".to_owned()], &Value::Null));
    let before = second["paging"]["cursors"]["before"].as_str().unwrap();
    let (_, back) = call("GET", &format!("{url}&before={before}"), None).await;
    assert_eq!(texts(&back), ["cinco", "cuatro"]);

    let outbound = format!("{}?direction=outbound", proxy_url(&sim));
    let (_, outbound_of_meta) = call("GET", &outbound, None).await;
    assert_eq!(texts(&outbound_of_meta), ["seis"]);
    assert_eq!(outbound_of_meta["data"][0]["kapso"], Value::Null, "Meta's own fields unless asked for more");
    let (_, outbound) = call("GET", &format!("{outbound}&fields=kapso(default)"), None).await;
    let kapso = &outbound["data"][0]["kapso"];
    assert_eq!((&kapso["direction"], &kapso["phone_number"]), (&json!("outbound"), &json!("56912345678")));
    assert_eq!(kapso["phone_number_id"], sim.line().phone_number_id.as_str());
    assert!(kapso["whatsapp_conversation_id"].is_string());
    assert_eq!(call("GET", &format!("{}?fields=id", proxy_url(&sim)), None).await.0, 400);
    let (_, none) = call("GET", &format!("{}?since=2100-01-01T00:00:00Z", proxy_url(&sim)), None).await;
    assert_eq!(none["data"], json!([]));
    assert_eq!(call("GET", &format!("{}?limit=101", proxy_url(&sim)), None).await.0, 400);
    assert_eq!(call("GET", &format!("{}?since=ayer", proxy_url(&sim)), None).await.0, 400);
    let conversations = format!("{}/{}/conversations", sim.meta_proxy_url(), sim.line().phone_number_id);
    let (_, listed) = call("GET", &conversations, None).await;
    assert_eq!(listed["data"][0]["phone_number"], "56912345678");
}

#[tokio::test]
async fn the_conversation_api_lists_by_page() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "uno"));
    for text in ["dos", "tres"] {
        let _ids = sim.inbound(InboundMessage::text("+56912345678", text));
    }
    let url = format!("{}?page=2&per_page=2", send_url(&sim, &ids.conversation_id));
    let (status, page) = call("GET", &url, None).await;
    assert_eq!(status, 200);
    assert_eq!(page["data"][0]["content"], "uno");
    assert_eq!(page["data"][0]["whatsapp_message_id"], ids.wamid.as_str());
    assert_eq!(page["meta"], json!({ "page": 2, "per_page": 2, "total_pages": 2, "total_count": 3 }));
    let (_, page) =
        call("GET", &format!("{}/whatsapp_conversations", sim.conversation_api_url()), None).await;
    assert_eq!(page["data"][0]["id"], ids.conversation_id.as_str());
    let (_, page) = call("GET", &format!("{}/whatsapp_configs", sim.conversation_api_url()), None).await;
    assert_eq!(page["data"][0]["phone_number_id"], sim.line().phone_number_id.as_str());

    let close = format!("{}/whatsapp_conversations/{}", sim.conversation_api_url(), ids.conversation_id);
    let body = json!({ "whatsapp_conversation": { "status": "ended" } });
    let (status, closed) = call("PATCH", &close, Some(body)).await;
    assert_eq!((status, &closed["data"]["status"]), (StatusCode::OK, &json!("ended")));
    let next = sim.inbound(InboundMessage::text("+56912345678", "otra sesión"));
    assert_ne!(next.conversation_id, ids.conversation_id);
}

#[tokio::test]
async fn the_rate_limit_is_the_keys() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { rate_limit: Some(1), time_scale: 1.0, ..config(&receiver) }).await;
    let url = format!("{}/whatsapp_configs", sim.conversation_api_url());
    let get = |key: &'static str| client().get(&url).header("X-API-Key", key).send();
    let first = get("key").await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["X-RateLimit-Limit"], "1");
    assert_eq!(first.headers()["X-RateLimit-Remaining"], "0");
    let second = get("key").await.unwrap();
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["Retry-After"], "60");
    assert_eq!(second.json::<Value>().await.unwrap()["error"], "Rate limit exceeded");
    assert_eq!(get("another").await.unwrap().status(), 200);
}
