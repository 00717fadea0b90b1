use kapso_sim::{Sim, SimConfig};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    PATIENCE,
    api::{call, send_url, text_in_conversation},
    config,
    receiver::Receiver,
    start,
};

async fn control(sim: &Sim, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    call(method, &format!("http://{}/sim/{path}", sim.addr()), body).await
}

#[tokio::test]
async fn a_trial_by_hand() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { lenient: true, ..config(&receiver) }).await;
    assert_eq!(control(&sim, "GET", "livez", None).await, (StatusCode::OK, json!({ "status": "ok" })));

    let inbound =
        json!({ "from": "+56912345678", "text": "Hola, necesito ayuda", "name": "Juan", "count": 2 });
    let (status, answer) = control(&sim, "POST", "inbound", Some(inbound)).await;
    assert_eq!((status, answer["data"].as_array().map(Vec::len)), (StatusCode::ACCEPTED, Some(2)));
    let conversation = answer["data"][0]["conversation_id"].as_str().unwrap().to_owned();
    receiver.wait_for(2).await;

    let fault = json!({ "on": "send", "outcome": "accept_then_cloudflare", "times": 1 });
    let (status, planned) = control(&sim, "POST", "faults", Some(fault)).await;
    assert_eq!(status, 200);
    assert_eq!(planned["data"][0]["outcome"], "accept_then_answer");
    assert_eq!(call("POST", &send_url(&sim, &conversation), text_in_conversation("Sí")).await.0, 504);
    assert!(sim.idle(PATIENCE).await);

    let (_, replies) = control(&sim, "GET", "replies", None).await;
    assert_eq!(replies["data"][0]["text"], "Sí");
    assert_eq!(replies["data"][0]["to"], "56912345678");
    let (_, calls) = control(&sim, "GET", "calls?action=send&accepted=true", None).await;
    assert_eq!(calls["data"][0]["status"], 504);
    assert_eq!(calls["data"][0]["fault"], "accept_then_answer");
    let (_, sent) = control(&sim, "GET", "deliveries?kind=message.sent&state=delivered", None).await;
    assert_eq!(sent["data"][0]["attempts"][0]["status"], 200);

    assert_eq!(control(&sim, "DELETE", "calls", None).await.0, 204);
    assert_eq!(control(&sim, "GET", "replies", None).await.1, json!({ "data": [] }));
}

#[tokio::test]
async fn what_happens_by_hand() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let dialect = json!({ "dialect": "v2" });
    assert_eq!(control(&sim, "POST", "dialect", Some(dialect.clone())).await, (StatusCode::OK, dialect));
    let image = json!({ "from": "+56912345678", "type": "image", "text": "así quedó", "age_seconds": 3600 });
    let (_, answer) = control(&sim, "POST", "inbound", Some(image)).await;
    let ids = answer["data"][0].clone();
    let got = receiver.wait_for(1).await;
    assert_eq!(got[0].json()["message"]["image"]["caption"], "así quedó");

    let failed =
        json!({ "event": "message_status", "message_id": ids["wamid"], "status": "failed", "code": 131_026 });
    assert_eq!(control(&sim, "POST", "event", Some(failed)).await.0, 202);
    let ended = json!({ "event": "conversation_ended", "conversation_id": ids["conversation_id"] });
    assert_eq!(control(&sim, "POST", "event", Some(ended)).await.0, 202);
    let updated = json!({ "event": "contact_updated", "from": "+56912345678", "bsuid": "CL.2", "previous_bsuid": "CL.1" });
    assert_eq!(control(&sim, "POST", "event", Some(updated)).await.0, 202);
    let raw = json!({ "kind": "project.event", "body": { "event": "project.event" }, "headers": { "X-Custom": "1" } });
    assert_eq!(control(&sim, "POST", "webhook", Some(raw)).await.0, 202);
    assert!(sim.idle(PATIENCE).await);
    let mut kinds: Vec<_> =
        receiver.got()[1..].iter().map(|got| got.header("X-Webhook-Event").unwrap().to_owned()).collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "project.event",
            "whatsapp.contact.identity_changed",
            "whatsapp.conversation.ended",
            "whatsapp.message.failed",
        ]
    );
    assert_eq!(control(&sim, "POST", "deliveries/1/repeat", None).await.0, 202);
    receiver.wait_for(6).await;
    let paused = json!({ "paused": true });
    assert_eq!(control(&sim, "POST", "target", Some(paused)).await.1["paused"], true);
}

#[tokio::test]
async fn mistakes_are_named() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    for (path, body, word) in [
        ("inbound", json!({ "text": "x" }), "from"),
        ("inbound", json!({ "from": "Juan", "text": "x" }), "number"),
        ("inbound", json!({ "from": "+1", "text": "x", "type": "telegram" }), "telegram"),
        ("inbound", json!({ "from": "+1", "count": 0 }), "count"),
        ("inbound", json!({ "from": "+1", "texto": "x" }), "texto"),
        ("faults", json!({ "outcome": "explode" }), "explode"),
        ("faults", json!({ "outcome": "cut", "chance": 2.0 }), "chance"),
        ("faults", json!({ "outcome": "answer", "status": 99 }), "status"),
        ("dialect", json!({ "dialect": "v3" }), "v3"),
        ("event", json!({ "event": "earthquake" }), "earthquake"),
        ("webhook", json!({ "body": {} }), "kind"),
    ] {
        let (status, answer) = control(&sim, "POST", path, Some(body.clone())).await;
        assert_eq!(status, 400, "{path} {body}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{path} {body}: {answer}");
    }
    assert_eq!(control(&sim, "GET", "nothing", None).await.0, 404);
    assert_eq!(control(&sim, "POST", "deliveries/9/repeat", None).await.0, 404);
    assert!(sim.calls().is_empty());
}

#[tokio::test]
async fn people_of_the_business() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let writes = async |dialect: &str, on_the_phone: bool, got: usize| {
        let spec = json!({
            "to": "+56912345678", "text": "Soy Marta", "on_the_phone": on_the_phone, "dialect": dialect,
        });
        let (status, answer) = control(&sim, "POST", "outbound", Some(spec)).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let received = receiver.wait_for(got).await;
        (answer["data"].clone(), received[got - 1].json())
    };
    let (ids, echo) = writes("meta", true, 1).await;
    let change = &echo["entry"][0]["changes"][0];
    assert_eq!(change["field"], "smb_message_echoes");
    let told = &change["value"]["message_echoes"][0];
    assert_eq!((&told["id"], told["to"].as_str()), (&ids["wamid"], Some("56912345678")));
    assert_eq!(told["text"]["body"], "Soy Marta");
    let (_, on_the_phone) = writes("v2", true, 2).await;
    let kapso = &on_the_phone["message"]["kapso"];
    assert_eq!((&kapso["direction"], &kapso["origin"]), (&json!("outbound"), &json!("business_app")));
    let (ids, in_the_inbox) = writes("v1", false, 3).await;
    let message = &in_the_inbox["message"];
    assert_eq!((&message["id"], &message["origin"]), (&ids["message_id"], &json!("cloud_api")));
    assert_eq!((&message["status"], &message["direction"]), (&json!("sent"), &json!("outbound")));

    let handed_off =
        json!({ "event": "handed_off", "conversation_id": ids["conversation_id"], "reason": "asked" });
    assert_eq!(control(&sim, "POST", "event", Some(handed_off)).await.0, StatusCode::ACCEPTED);
    let handoff = receiver.wait_for(4).await[3].json();
    assert_eq!(handoff["event"], "workflow.execution.handoff");
    assert_eq!(handoff["whatsapp_conversation_id"], ids["conversation_id"]);
    assert_eq!(control(&sim, "POST", "outbound", Some(json!({ "to": "x", "text": "y" }))).await.0, 400);
}
