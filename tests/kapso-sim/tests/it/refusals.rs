//! What Kapso refuses though the call is right: no credits, no wish, no session; and what Meta holds back.

use kapso_sim::{Fault, InboundMessage, MessageStatus, Outcome, Reply, Sim, SimConfig, Statuses, Times};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    api::{call, proxy_text, proxy_url, send_url, text_in_conversation},
    config,
    receiver::Receiver,
    start,
};

/// The four calls that cost: a send and a mark in each style.
struct Scene {
    _receiver: Receiver,
    sim: Sim,
    calls: [(&'static str, String, Option<Value>); 4],
}

async fn scene() -> Scene {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola"));
    let mark = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": ids.wamid });
    let mark_as_read =
        format!("{}/whatsapp_messages/{}/mark_as_read", sim.conversation_api_url(), ids.message_id);
    let calls = [
        ("POST", send_url(&sim, &ids.conversation_id), text_in_conversation("Hola")),
        ("POST", proxy_url(&sim), proxy_text("56912345678", "Hola")),
        ("PATCH", mark_as_read, None),
        ("POST", proxy_url(&sim), Some(mark)),
    ];
    Scene { _receiver: receiver, sim, calls }
}

impl Scene {
    async fn call(&self, which: usize) -> (StatusCode, Value) {
        let (method, url, body) = &self.calls[which];
        call(method, url, body.clone()).await
    }

    async fn control(&self, path: &str, body: Value) -> (StatusCode, Value) {
        call("POST", &format!("http://{}/sim/{path}", self.sim.addr()), Some(body)).await
    }

    fn accepted(&self) -> (usize, usize) {
        (self.sim.accepted_sends().len(), self.sim.accepted_marks().len())
    }
}

fn no_credits() -> Value {
    json!({
        "error": "Insufficient credits to send this message",
        "code": "insufficient_credits",
        "billing_url": "https://app.kapso.ai/invented/billing",
    })
}

#[tokio::test]
async fn refusals_have_kapsos_words_from_rust_and_by_control() {
    let scene = scene().await;
    let of_meta = json!({ "error": {
        "message": "(#131047) Re-engagement message", "type": "MessageError",
        "code": 131_047, "error_subcode": 131_047, "fbtrace_id": "AINVENTEDtrace0000",
    }});
    let marketing = json!({
        "error": "Contact stopped marketing messages on this WhatsApp number",
        "code": "marketing_preference_stopped",
    });
    let mismatch = json!({
        "error": "WhatsApp number does not belong to this messaging account",
        "code": "messaging_account_mismatch",
    });
    for (name, reply, status, body) in [
        ("insufficient_credits", Reply::insufficient_credits(), 402, no_credits()),
        ("marketing_preference_stopped", Reply::marketing_preference_stopped(), 422, marketing),
        ("messaging_account_mismatch", Reply::messaging_account_mismatch(), 422, mismatch),
        ("window_closed_by_meta", Reply::window_closed_by_meta(), 422, of_meta),
        (
            "sandbox_session_required",
            Reply::sandbox_session_required(),
            403,
            json!({ "error": "Active sandbox session required to send messages" }),
        ),
    ] {
        scene.sim.fault(Fault::next_send(Outcome::Answer(reply.clone())).times(Times::Next(2)));
        scene.sim.fault(Fault::next_mark(Outcome::Answer(reply)).times(Times::Next(2)));
        for of_rust in 0..4 {
            let (got, answer) = scene.call(of_rust).await;
            assert_eq!((got.as_u16(), &answer), (status, &body), "{name}");
        }
        for (on, which) in [("send", 1), ("mark", 3)] {
            let planned = scene.control("faults", json!({ "on": on, "outcome": name })).await;
            assert_eq!((planned.0, &planned.1["data"][0]["status"]), (StatusCode::OK, &json!(status)));
            let (got, answer) = scene.call(which).await;
            assert_eq!((got.as_u16(), &answer), (status, &body), "{name}");
        }
    }
    assert_eq!(scene.accepted(), (0, 0));
}

#[tokio::test]
async fn without_credits_nothing_goes_out_until_somebody_pays() {
    let scene = scene().await;
    scene.sim.set_credits(false);
    // A planned fault waits for a call that gets so far.
    scene.sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    for round in 0..3 {
        for which in 0..4 {
            let (status, answer) = scene.call(which).await;
            assert_eq!((status.as_u16(), answer), (402, no_credits()), "call {which} of round {round}");
        }
    }
    assert_eq!(scene.accepted(), (0, 0));
    assert!(scene.sim.calls().iter().all(|call| !call.accepted && call.fault.is_none()));
    // Listings cost nothing, and a wrong call is still a wrong call.
    let (_, url, _) = &scene.calls[1];
    assert_eq!(call("GET", url, None).await.0, 200);
    assert_eq!(call("POST", url, Some(json!({}))).await.0, 400);

    scene.sim.clear_faults();
    let paid = scene.control("account", json!({ "credits": true })).await;
    assert_eq!(paid, (StatusCode::OK, json!({ "credits": true, "message_status": "accepted" })));
    for which in 0..4 {
        assert!(scene.call(which).await.0.is_success());
    }
    assert_eq!(scene.accepted(), (2, 2));
    let spent = scene.control("account", json!({ "credits": false })).await;
    assert_eq!((spent.1["credits"].clone(), scene.call(0).await.0.as_u16()), (json!(false), 402));
}

#[tokio::test]
async fn meta_may_hold_a_message_to_assess_its_quality() {
    let scene = scene().await;
    let status = async || scene.call(1).await.1["messages"][0]["message_status"].clone();
    assert_eq!(status().await, "accepted");
    // Once, as a fault; or from now on, as the state of the account.
    scene.sim.fault(Fault::next_send(Outcome::AcceptHeld));
    assert_eq!([status().await, status().await], ["held_for_quality_assessment", "accepted"]);
    scene.control("faults", json!({ "on": "send", "outcome": "accept_held" })).await;
    assert_eq!([status().await, status().await], ["held_for_quality_assessment", "accepted"]);
    scene.sim.set_message_status(MessageStatus::HeldForQualityAssessment);
    assert_eq!([status().await, status().await], ["held_for_quality_assessment"; 2]);
    scene.control("account", json!({ "message_status": "accepted" })).await;
    assert_eq!(status().await, "accepted");
    assert_eq!(scene.accepted().0, 8);
    assert_eq!(scene.control("account", json!({ "message_status": "lost" })).await.0, 400);
}

#[tokio::test]
async fn the_number_is_set_by_control_field_by_field() {
    let scene = scene().await;
    let set = async |change: Value| scene.control("number", change).await;
    let (status, now) = set(json!({ "quality_rating": "YELLOW", "messaging_health": "LIMITED" })).await;
    assert_eq!((status, &now["quality_rating"]), (StatusCode::OK, &json!("YELLOW")));
    assert_eq!((&now["messaging_health"], &now["messaging_passed"]), (&json!("LIMITED"), &json!(false)));
    // What is unknown is a value, too; what is not named stays.
    let (_, now) = set(json!({ "messaging_passed": null, "connection_passed": null })).await;
    assert_eq!(
        (now.get("messaging_passed"), now.get("connection_passed")),
        (Some(&Value::Null), Some(&Value::Null))
    );
    assert_eq!((&now["quality_rating"], &now["messaging_health"]), (&json!("YELLOW"), &json!("LIMITED")));
    let state = scene.sim.number();
    assert_eq!((state.quality_rating.as_str(), state.messaging_passed), ("YELLOW", None));
    for wrong in [json!({ "quality": "RED" }), json!({ "messaging_health": "SICK" }), json!([])] {
        assert_eq!(set(wrong).await.0, 400);
    }
}
