//! Calls on WhatsApp, which only Meta's own body tells of.

use kapso_sim::{CallProgress, Dialect, InboundMessage, PhoneCall, SimConfig, sign};
use serde_json::{Value, json};

use super::{SECRET, api::call, config, receiver::Receiver, start};

#[tokio::test]
async fn calls_are_told_as_meta_tells_them() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    receiver.wait_for(1).await;
    let event = format!("http://{}/sim/event", sim.addr());
    let progresses = ["connect", "terminate", "ringing", "accepted", "rejected"];
    for (got, progress) in (2..).zip(progresses) {
        // The worst: a call that has the name of a message.
        let told =
            json!({ "event": "call", "from": "+56912345678", "progress": progress, "call_id": ids.wamid });
        let (status, answer) = call("POST", &event, Some(told)).await;
        assert_eq!((status.as_u16(), &answer["call_id"]), (202, &json!(ids.wamid)));
        receiver.wait_for(got).await;
    }
    assert_ne!(sim.tell_call(&PhoneCall::new("+56912345678", CallProgress::Ringing)), 0);
    let got = receiver.wait_for(7).await;
    let changes: Vec<Value> =
        got[1..].iter().map(|got| got.json()["entry"][0]["changes"][0].clone()).collect();
    assert!(changes.iter().all(|change| change["field"] == "calls"));
    let calls: Vec<&Value> = changes[..2].iter().map(|change| &change["value"]["calls"][0]).collect();
    assert_eq!((&calls[0]["event"], &calls[0]["id"]), (&json!("connect"), &json!(ids.wamid)));
    assert_eq!((&calls[1]["event"], &calls[1]["from"]), (&json!("terminate"), &json!("56912345678")));
    for (change, status) in changes[2..5].iter().zip(["RINGING", "ACCEPTED", "REJECTED"]) {
        let told = &change["value"]["statuses"][0];
        assert_eq!(
            (&told["id"], &told["status"], &told["type"]),
            (&json!(ids.wamid), &json!(status), &json!("call"))
        );
        assert!(change["value"].get("calls").is_none());
    }
    assert!(changes[5]["value"]["statuses"][0]["id"].as_str().unwrap().starts_with("wacid."));
    // Meta's dialect: no kind in a header, and Kapso's signature.
    assert_eq!(got[1].header("X-Webhook-Event"), None);
    assert_eq!(got[1].header("X-Webhook-Signature"), Some(sign(SECRET, &got[1].body).as_str()));
}
