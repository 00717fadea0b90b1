//! Listings when things go wrong, and what only they tell of.

use std::time::Duration;

use kapso_sim::story::Status;
use kapso_sim::{
    Content, DeliveryState, Fault, InboundMessage, Outcome, PersonsMessage, Reply, SimConfig, Statuses, iso,
    now,
};
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

fn ids(listed: &Value) -> Vec<&str> {
    listed["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_proxy_filters_by_when_kapso_wrote_it_down_and_the_platform_by_no_time() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let hours = |ago: i64| now() - Duration::from_secs(3600).saturating_mul(ago.try_into().unwrap());
    // Written five hours ago, and by Kapso an hour ago: a history that was synchronised late.
    let late = InboundMessage {
        at: Some(hours(5)),
        created_at: Some(hours(1)),
        ..InboundMessage::text("+56912345678", "antes")
    };
    let late = sim.inbound(late);
    let by_control = json!({ "from": "+56912345678", "text": "antes", "age_seconds": 18_000, "created_age_seconds": 3_600 });
    let (_, by_control) = call("POST", &format!("http://{}/sim/inbound", sim.addr()), Some(by_control)).await;
    let ours = PersonsMessage {
        at: Some(hours(5)),
        created_at: Some(hours(1)),
        ..PersonsMessage::on_the_phone("+56912345678", "de antes")
    };
    let ours = sim.person_writes(ours);
    let old = InboundMessage { at: Some(hours(5)), ..InboundMessage::text("+56912345678", "vieja") };
    let old = sim.inbound(old);
    let late_ones = [ours.wamid.as_str(), by_control["data"][0]["wamid"].as_str().unwrap(), &late.wamid];

    let span = |since: i64, until: i64| {
        format!("since={}&until={}", iso(hours(since)), iso(hours(until))).replace('+', "%2B")
    };
    let of_proxy = async |query: String| call("GET", &format!("{}?{query}", proxy_url(&sim)), None).await.1;
    assert_eq!(ids(&of_proxy(span(2, 0)).await), late_ones);
    assert_eq!(ids(&of_proxy(span(6, 4)).await), [old.wamid.as_str()]);
    // The platform API has no such filter.
    let platform = format!("{}/whatsapp/messages?{}", sim.platform_url(), span(6, 4));
    assert_eq!(ids(&call("GET", &platform, None).await.1).len(), 4);
    // The conversation API shows it, too.
    let (_, listed) = call("GET", &send_url(&sim, &late.conversation_id), None).await;
    let of_late = listed["data"].as_array().unwrap().iter().find(|it| it["id"] == late.message_id.as_str());
    assert_eq!(of_late.unwrap()["created_at"], iso(hours(1)));
}

#[tokio::test]
async fn a_page_has_twenty_messages_unless_more_are_asked_for() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    for _ in 0..25 {
        let _ids = sim.inbound(InboundMessage::text("+56912345678", "hola"));
    }
    for url in [proxy_url(&sim), format!("{}/whatsapp/messages", sim.platform_url())] {
        assert_eq!(ids(&call("GET", &url, None).await.1).len(), 20);
        assert_eq!(ids(&call("GET", &format!("{url}?limit=100"), None).await.1).len(), 25);
        assert_eq!(call("GET", &format!("{url}?limit=101"), None).await.0, 400);
    }
}

#[tokio::test]
async fn the_platforms_number_is_a_part_of_one() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ana = sim.inbound(InboundMessage::text("+56912345678", "hola"));
    let image = Content::sample("image", "mira").unwrap();
    let beto = sim.inbound(InboundMessage::new("+5691234567", image));
    let nobody =
        InboundMessage { from: None, bsuid: Some("CL.1".to_owned()), ..InboundMessage::text("", "x") };
    let nobody = sim.inbound(nobody);
    let all = [nobody.wamid.as_str(), &beto.wamid, &ana.wamid];
    let of = async |query: &str| {
        let (_, listed) =
            call("GET", &format!("{}/whatsapp/messages?{query}", sim.platform_url()), None).await;
        listed["data"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>()
    };
    // A whole number finds whoever has it within their own: no identity.
    assert_eq!(of("phone_number=%2B56%209%201234567").await, all[1..]);
    assert_eq!(of("phone_number=5678").await, all[2..]);
    assert_eq!(of("phone_number=CL.2").await, Vec::<Value>::new());
    assert_eq!(of("has_media=true").await, all[1..2]);
    assert_eq!(of("message_type=text").await, [all[0], all[2]]);
    assert_eq!(of(&format!("phone_number_id={}", sim.line().phone_number_id)).await, all);
    assert_eq!(of("phone_number_id=0").await, Vec::<Value>::new());
}

#[tokio::test]
async fn one_message_is_found_by_its_wamid() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    // As Meta names them: in base 64.
    let wamid = "wamid.HBgLNTY5MTIzNDU2Nzg/FQIAEhgg+A==".to_owned();
    let message =
        InboundMessage { wamid: Some(wamid.clone()), ..InboundMessage::text("+56912345678", "hola") };
    let ids = sim.inbound(message);
    call("POST", &proxy_url(&sim), proxy_text("56912345678", "buenas")).await;
    let sent = sim.accepted_sends().pop().unwrap();
    assert!(sim.change_status(&sent.wamid, Status::Delivered, None));

    let proxy = |id: &str| format!("{}/{}", proxy_url(&sim), id.replace('/', "%2F"));
    let platform = |id: &str| format!("{}/whatsapp/messages/{}", sim.platform_url(), id.replace('/', "%2F"));
    for id in [&wamid, &sent.wamid] {
        let (status, of_proxy) = call("GET", &proxy(id), None).await;
        assert_eq!((status, &of_proxy["id"]), (StatusCode::OK, &json!(id)));
        assert_eq!(of_proxy["kapso"]["processing_status"], "completed");
        let (_, of_platform) = call("GET", &platform(id), None).await;
        let of_platform = &of_platform["data"];
        assert_eq!(of_platform["kapso"]["processing_status"], "processed");
        assert_eq!(of_platform["kapso"]["whatsapp_conversation_id"], ids.conversation_id.as_str());
        assert_eq!(of_platform["kapso"]["statuses"], of_proxy["kapso"]["statuses"]);
    }
    let (_, ours) = call("GET", &proxy(&sent.wamid), None).await;
    assert_eq!(ours["kapso"]["statuses"][0]["status"], "delivered");
    assert_eq!(ours["kapso"]["statuses"][0]["biz_opaque_callback_data"], "reply:42");
    let (_, bare) = call("GET", &format!("{}?fields=kapso()", proxy(&wamid)), None).await;
    assert_eq!((&bare["id"], bare.get("kapso")), (&json!(wamid), None));

    // Kapso's own id is no wamid, and a number that is not ours has no messages.
    for url in [proxy(&ids.message_id), platform(&ids.message_id), proxy("wamid.x"), platform("wamid.x")] {
        let (status, answer) = call("GET", &url, None).await;
        assert_eq!((status, answer), (StatusCode::NOT_FOUND, json!({ "error": "Message not found" })));
    }
    let elsewhere = format!("{}/0/messages/{}", sim.meta_proxy_url(), sent.wamid);
    assert_eq!(call("GET", &elsewhere, None).await.0, 404);
    // They are listings to a fault.
    sim.fault(Fault::next_list(Outcome::Answer(Reply::cloudflare(503))).about(&sent.wamid));
    assert_eq!(call("GET", &proxy(&wamid), None).await.0, 200);
    assert_eq!(call("GET", &proxy(&sent.wamid), None).await.0, 503);
}
