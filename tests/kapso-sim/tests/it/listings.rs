//! Listings when things go wrong, and what only they tell of.

use std::time::Duration;

use kapso_sim::story::Status;
use kapso_sim::{Content, DeliveryState, Fault, InboundMessage, Outcome, Reply, SimConfig, Statuses};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    api::{call, proxy_text, proxy_url, send_url},
    config,
    receiver::Receiver,
    start,
};

#[tokio::test]
async fn what_is_lost_is_listed_and_can_come_late() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let told = sim.inbound(InboundMessage::text("+56912345678", "llega"));
    let lost =
        sim.inbound(InboundMessage { lost: true, ..InboundMessage::text("+56912345678", "se pierde") });
    assert!(sim.idle(Duration::from_secs(10)).await);
    let deliveries = sim.deliveries();
    let of = |id: &str| deliveries.iter().find(|it| it.message_ids.iter().any(|it| it == id)).unwrap();
    assert_eq!(of(&told.wamid).state, DeliveryState::Delivered);
    assert_eq!((of(&lost.wamid).state, of(&lost.wamid).attempts.len()), (DeliveryState::Skipped, 0));

    let url = format!("{}?fields=kapso(default)", proxy_url(&sim));
    let (_, listed) = call("GET", &url, None).await;
    let ids: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(lost.wamid), &json!(told.wamid)]);

    assert!(sim.repeat(of(&lost.wamid).number).is_some());
    assert!(sim.idle(Duration::from_secs(10)).await);
    assert_eq!(sim.deliveries().last().unwrap().state, DeliveryState::Delivered);
}

#[tokio::test]
async fn statuses_are_listed_with_their_history_or_the_last_of_them() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "hola"));
    call("POST", &proxy_url(&sim), proxy_text("56912345678", "buenas")).await;
    let sent = sim.accepted_sends().pop().unwrap();
    for status in [Status::Sent, Status::Delivered] {
        assert!(sim.change_status(&sent.wamid, status, None));
    }
    let url = format!("{}?fields=kapso(default)&status=delivered", proxy_url(&sim));
    let (_, listed) = call("GET", &url, None).await;
    let statuses = listed["data"][0]["kapso"]["statuses"].as_array().unwrap();
    let names: Vec<&Value> = statuses.iter().map(|it| &it["status"]).collect();
    assert_eq!(names, ["sent", "delivered"]);
    assert_eq!(listed["data"][0]["kapso"]["status"], "delivered");
    let (_, listed) = call("GET", &send_url(&sim, &ids.conversation_id), None).await;
    assert_eq!(listed["data"][0]["status"], "delivered");
    assert_eq!(listed["data"][0]["whatsapp_conversation_id"], ids.conversation_id.as_str());
}

#[tokio::test]
async fn listings_run_into_faults_of_their_own() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "hola"));
    sim.fault(Fault::next_list(Outcome::Answer(Reply::rate_limited(3))));
    sim.fault(Fault::next_list(Outcome::Answer(Reply::cloudflare(503))));
    sim.fault(Fault::next_list(Outcome::Answer(Reply::wrong_token())));
    let url = send_url(&sim, &ids.conversation_id);
    let statuses = [
        call("GET", &url, None).await.0,
        call("GET", &proxy_url(&sim), None).await.0,
        call("GET", &format!("{}/whatsapp_conversations", sim.conversation_api_url()), None).await.0,
        call("GET", &url, None).await.0,
    ];
    assert_eq!(statuses, [429, 503, 401, 200].map(|it| StatusCode::from_u16(it).unwrap()));
}

#[tokio::test]
async fn media_may_be_signed_anew_in_each_listing() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { fresh_media_urls: true, ..config(&receiver) }).await;
    let image = Content::sample("image", "mira").unwrap();
    let ids = sim.inbound(InboundMessage::new("+56912345678", image));
    let url = format!("{}?fields=kapso(default)", proxy_url(&sim));
    for (url, place) in
        [(url, "/data/0/kapso/media_url"), (send_url(&sim, &ids.conversation_id), "/data/0/media_url")]
    {
        let (_, first) = call("GET", &url, None).await;
        let (_, second) = call("GET", &url, None).await;
        assert!(first.pointer(place).is_some_and(Value::is_string), "{first}");
        assert_ne!(first.pointer(place), second.pointer(place));
    }
}

#[tokio::test]
async fn what_was_sent_may_be_listed_late() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "hola"));
    let late = format!("http://{}/sim/listings", sim.addr());
    let set = async |ms: u32| call("POST", &late, Some(json!({ "late_ms": ms }))).await;
    assert_eq!(set(3_600_000).await, (StatusCode::OK, json!({ "late_ms": 3_600_000 })));
    assert_eq!(call("POST", &proxy_url(&sim), proxy_text("56912345678", "buenas")).await.0, 200);
    let proxy = format!("{}?fields=kapso(default)", proxy_url(&sim));
    let platform = format!("{}/whatsapp/messages", sim.platform_url());
    let urls = [send_url(&sim, &ids.conversation_id), proxy, platform];
    let listed = async || {
        let mut counts = Vec::new();
        for url in &urls {
            counts.push(call("GET", url, None).await.1["data"].as_array().unwrap().len());
        }
        counts
    };
    // What the contact wrote is there at once.
    assert_eq!(listed().await, [1, 1, 1]);
    set(0).await;
    assert_eq!(listed().await, [2, 2, 2]);
    assert_eq!(call("POST", &late, Some(json!({ "late_ms": -1 }))).await.0, 400);
}
