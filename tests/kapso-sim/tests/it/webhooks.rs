use std::time::Duration;

use kapso_sim::{
    Buffering, Content, DeliveryState, Dialect, InboundMessage, RawWebhook, SimConfig, Statuses, digest,
    sign, story::Status,
};
use serde_json::json;

use super::{PATIENCE, SECRET, config, receiver::Receiver, start};

#[tokio::test]
async fn a_guide_webhook_is_signed_over_its_bytes() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let ids = sim.inbound(InboundMessage::text("+56912345678", "Hola, ¿me das una mano? 🙏"));
    let got = receiver.wait_for(1).await.remove(0);
    assert_eq!(got.header("X-Kapso-Signature"), Some(sign(SECRET, &got.body).as_str()));
    assert_eq!(got.header("Content-Type"), Some("application/json"));
    assert_eq!(got.header("X-Webhook-Signature"), None);
    let body = got.json();
    assert_eq!(body["event_type"], "message.received");
    assert_eq!(body["message_id"], ids.message_id.as_str());
    assert_eq!(body["conversation_id"], ids.conversation_id.as_str());
    assert_eq!(body["payload"]["from"], "+56912345678");
    sim.stop().await.unwrap();
}

#[tokio::test]
async fn a_v2_webhook_has_kapsos_headers() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("56912345678", "Hola"));
    let got = receiver.wait_for(1).await.remove(0);
    assert_eq!(got.header("X-Webhook-Event"), Some("whatsapp.message.received"));
    assert_eq!(got.header("X-Webhook-Payload-Version"), Some("v2"));
    assert_eq!(got.header("X-Webhook-Signature"), Some(sign(SECRET, &got.body).as_str()));
    assert_eq!(got.header("X-Idempotency-Key").map(str::len), Some(36));
    assert_eq!(got.header("X-Webhook-Batch"), None);
    assert_eq!(got.json()["message"]["id"], ids.wamid.as_str());
}

#[tokio::test]
async fn a_meta_webhook_is_signed_by_the_app() {
    let receiver = Receiver::start();
    let app = Some("app secret".to_owned());
    let sim = start(SimConfig { dialect: Dialect::Meta, meta_app_secret: app, ..config(&receiver) }).await;
    let image = Content::sample("image", "así quedó").unwrap();
    let _ids = sim.inbound(InboundMessage::new("56912345678", image));
    let got = receiver.wait_for(1).await.remove(0);
    let expected = format!("sha256={}", sign("app secret", &got.body));
    assert_eq!(got.header("X-Hub-Signature-256"), Some(expected.as_str()));
    assert_eq!(got.header("X-Idempotency-Key"), Some(digest(&got.body).as_str()));
    assert_eq!(got.header("X-Webhook-Event"), None);
    let message = &got.json()["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(message["image"]["caption"], "así quedó");
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { webhook_secret: Some(String::new()), ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    let got = receiver.wait_for(1).await.remove(0);
    assert!(!got.headers.iter().any(|(name, _)| name.contains("signature")));
}

#[tokio::test]
async fn a_refused_webhook_comes_again_as_kapso_sends_it() {
    let receiver = Receiver::start();
    receiver.answer(&[500, 401, 204]);
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    let got = receiver.wait_for(4).await;
    assert!(sim.idle(PATIENCE).await);
    // 10, 40 and 90 seconds, a hundred times faster; a busy machine may add to them.
    for (pair, expected) in got.windows(2).zip([100, 400, 900]) {
        let waited = pair[1].at.duration_since(pair[0].at);
        assert!(waited >= Duration::from_millis(expected - 5), "{waited:?} < {expected} ms");
        assert_eq!(pair[0].body, pair[1].body);
        assert_eq!(pair[0].header("X-Idempotency-Key"), pair[1].header("X-Idempotency-Key"));
    }
    let delivery = sim.deliveries().remove(0);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let statuses: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(401), Some(204), Some(200)]);
}

#[tokio::test]
async fn after_four_attempts_kapso_gives_up() {
    let receiver = Receiver::start();
    receiver.always(503);
    let sim = start(SimConfig { time_scale: 0.001, ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    assert_eq!(receiver.got().len(), 4);
    assert_eq!(sim.deliveries()[0].state, DeliveryState::Failed);
}

#[tokio::test]
async fn a_slow_receiver_is_no_receiver() {
    let receiver = Receiver::start();
    receiver.be_slow(Duration::from_secs(5));
    let floor = Duration::from_millis(500);
    let sim = start(SimConfig { timeout_floor: floor, ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    let delivery = sim.deliveries().remove(0);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!(delivery.attempts[0].status, None);
    assert!(delivery.attempts[0].error.as_ref().unwrap().contains("timed out"), "{delivery:?}");
    assert_eq!(delivery.attempts[1].status, Some(200));
}

#[tokio::test]
async fn nobody_there_is_tried_again_too() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { time_scale: 0.001, ..config(&receiver) }).await;
    // The discard port: nothing listens there.
    sim.set_webhook_url("http://127.0.0.1:9/");
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    let delivery = sim.deliveries().remove(0);
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Failed, 4));
}

#[tokio::test]
async fn a_later_message_waits_for_an_earlier_one() {
    let receiver = Receiver::start();
    receiver.answer(&[500]);
    let sim = start(SimConfig { time_scale: 0.02, ..config(&receiver) }).await;
    for text in ["uno", "dos", "tres"] {
        let _ids = sim.inbound(InboundMessage::text("1", text));
    }
    let got = receiver.wait_for(4).await;
    let texts: Vec<_> = got.iter().map(|got| got.json()["payload"]["content"].clone()).collect();
    assert_eq!(texts, ["uno", "uno", "dos", "tres"]);
}

#[tokio::test]
async fn but_not_for_ever() {
    let receiver = Receiver::start();
    // "uno" is refused at 0 and 200 ms and would come again at 1 s: the cap of 600 ms lets "dos" go before.
    receiver.answer(&[500, 500]);
    let sim = start(SimConfig { time_scale: 0.02, ..config(&receiver) }).await;
    for text in ["uno", "dos"] {
        let _ids = sim.inbound(InboundMessage::text("1", text));
    }
    let got = receiver.wait_for(4).await;
    let texts: Vec<_> = got.iter().map(|got| got.json()["payload"]["content"].clone()).collect();
    assert_eq!(texts, ["uno", "uno", "dos", "uno"]);
}

#[tokio::test]
async fn conversations_do_not_wait_for_each_other() {
    let receiver = Receiver::start();
    receiver.answer(&[500]);
    let sim = start(config(&receiver)).await;
    let _ids = sim.inbound(InboundMessage::text("1", "uno"));
    receiver.wait_for(1).await;
    let _ids = sim.inbound(InboundMessage::text("2", "otro"));
    let got = receiver.wait_for(2).await;
    assert_eq!(got[1].json()["payload"]["content"], "otro");
}

#[tokio::test]
async fn silence_ends_a_batch() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2Batch, ..config(&receiver) }).await;
    for text in ["hola", "necesito ayuda", "gracias"] {
        let _ids = sim.inbound(InboundMessage::text("1", text));
    }
    let _ids = sim.inbound(InboundMessage::text("2", "sola"));
    let mut got = receiver.wait_for(2).await;
    assert!(sim.idle(PATIENCE).await);
    got.sort_by_key(|got| std::cmp::Reverse(got.header("X-Batch-Size").unwrap().to_owned()));
    assert_eq!(got[0].header("X-Webhook-Batch"), Some("true"));
    assert_eq!(got[0].header("X-Batch-Size"), Some("3"));
    let body = got[0].json();
    assert_eq!(body["data"][1]["message"]["text"]["body"], "necesito ayuda");
    assert_eq!(body["batch_info"]["first_sequence"], 1);
    assert_eq!(body["batch_info"]["last_sequence"], 3);
    assert_eq!(got[1].json()["data"][0]["message"]["text"]["body"], "sola");
    assert_eq!(receiver.got().len(), 2);
}

#[tokio::test]
async fn a_full_batch_leaves_at_once() {
    let receiver = Receiver::start();
    let buffering = Buffering { window: Duration::from_secs(60), max_size: 2 };
    let sim =
        start(SimConfig { dialect: Dialect::V2Batch, time_scale: 1.0, buffering, ..config(&receiver) }).await;
    for text in ["uno", "dos", "tres"] {
        let _ids = sim.inbound(InboundMessage::text("1", text));
    }
    let got = receiver.wait_for(1).await;
    assert_eq!(got[0].json()["data"].as_array().unwrap().len(), 2);
    sim.stop().await.unwrap();
}

#[tokio::test]
async fn an_exhausted_batch_falls_back_to_single_messages() {
    let receiver = Receiver::start();
    receiver.answer(&[500, 500, 500, 500]);
    let sim = start(SimConfig { dialect: Dialect::V2Batch, ..config(&receiver) }).await;
    let ids: Vec<_> = ["uno", "dos"].map(|text| sim.inbound(InboundMessage::text("1", text))).into();
    let got = receiver.wait_for(6).await;
    assert!(sim.idle(PATIENCE).await);
    let key = |at: usize| got[at].header("X-Idempotency-Key").unwrap().to_owned();
    assert_eq!(key(0), key(3));
    assert!(key(4) != key(0) && key(5) != key(0) && key(4) != key(5));
    for (single, ids) in got[4..].iter().zip(&ids) {
        assert_eq!(single.header("X-Webhook-Batch"), None);
        assert_eq!(single.json()["message"]["id"], ids.wamid.as_str());
    }
    let deliveries = sim.deliveries();
    assert_eq!(deliveries[0].state, DeliveryState::Failed);
    assert_eq!(deliveries[1].origin, Some(deliveries[0].number));
}

#[tokio::test]
async fn duplicates_come_under_the_same_key() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { dialect: Dialect::V2, ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage { duplicates: 2, ..InboundMessage::text("1", "Hola") });
    receiver.wait_for(3).await;
    assert!(sim.idle(PATIENCE).await);
    assert!(sim.repeat(1).is_some());
    let got = receiver.wait_for(4).await;
    for again in &got[1..] {
        assert_eq!(again.body, got[0].body);
        assert_eq!(again.header("X-Idempotency-Key"), got[0].header("X-Idempotency-Key"));
    }
    assert!(sim.repeat(999).is_none());
}

#[tokio::test]
async fn a_raw_webhook_keeps_its_bytes() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let body = b"{ \"event_type\" : \"message.received\",\t\"n\": 1.0 }".as_slice();
    sim.send_webhook("message.received", body);
    let got = receiver.wait_for(1).await.remove(0);
    assert_eq!(got.body, body);
    assert_eq!(got.header("X-Kapso-Signature"), Some(sign(SECRET, body).as_str()));

    sim.send_raw(RawWebhook {
        dialect: Some(Dialect::V2),
        secret: Some("another".to_owned()),
        headers: vec![("X-Custom".to_owned(), "1".to_owned()), ("X-Webhook-Event".to_owned(), String::new())],
        ..RawWebhook::new("project.event", body)
    });
    let got = receiver.wait_for(2).await.remove(1);
    assert_eq!(got.header("X-Webhook-Signature"), Some(sign("another", body).as_str()));
    assert_eq!(got.header("X-Custom"), Some("1"));
    assert_eq!(got.header("X-Webhook-Event"), None);
}

#[tokio::test]
async fn the_dialect_can_be_switched() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let _ids = sim.inbound(InboundMessage::text("1", "guía"));
    receiver.wait_for(1).await;
    sim.set_dialect(Dialect::V1);
    let _ids = sim.inbound(InboundMessage::text("1", "uno"));
    let got = receiver.wait_for(2).await;
    assert_eq!(got[1].header("X-Webhook-Payload-Version"), Some("v1"));
    assert_eq!(got[1].json()["message"]["content"], "uno");
}

#[tokio::test]
async fn a_webhook_that_fails_too_much_is_paused() {
    let receiver = Receiver::start();
    receiver.always(500);
    let paused = SimConfig { auto_pause: true, time_scale: 0.001, ..config(&receiver) };
    let sim = start(SimConfig { statuses: Statuses::NONE, ..paused }).await;
    for from in 0..20 {
        let _ids = sim.inbound(InboundMessage::text(from.to_string(), "Hola"));
    }
    assert!(sim.idle(PATIENCE).await);
    assert!(sim.is_paused());
    let before = receiver.got().len();
    let _ids = sim.inbound(InboundMessage::text("99", "nadie lo oye"));
    assert!(sim.idle(PATIENCE).await);
    assert_eq!(receiver.got().len(), before);
    assert_eq!(sim.deliveries().last().unwrap().state, DeliveryState::Skipped);
    sim.set_paused(false);
    assert!(!sim.is_paused());
}

#[tokio::test]
async fn other_events_are_told_too() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let ids = sim.inbound(InboundMessage::text("1", "Hola"));
    receiver.wait_for(1).await;
    assert!(sim.end_conversation(&ids.conversation_id));
    let got = receiver.wait_for(2).await;
    assert_eq!(got[1].json()["event_type"], "conversation.status_changed");
    assert_eq!(got[1].json()["payload"], json!({ "status": "ended", "previous_status": "active" }));
    assert!(!sim.end_conversation("nobody"));
    assert!(!sim.change_status("nobody", Status::Read, None));
}

#[tokio::test]
async fn a_new_conversation_can_announce_itself() {
    let receiver = Receiver::start();
    let sim =
        start(SimConfig { announce_conversations: true, dialect: Dialect::V2, ..config(&receiver) }).await;
    for text in ["uno", "dos"] {
        let _ids = sim.inbound(InboundMessage::text("1", text));
    }
    assert!(sim.idle(PATIENCE).await);
    let mut kinds: Vec<_> = sim.deliveries().into_iter().map(|delivery| delivery.kind).collect();
    kinds.sort();
    assert_eq!(
        kinds,
        ["whatsapp.conversation.created", "whatsapp.message.received", "whatsapp.message.received"]
    );
}

#[tokio::test]
async fn duplicates_can_come_by_chance() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { duplicate_rate: 1.0, ..config(&receiver) }).await;
    let _ids = sim.inbound(InboundMessage::text("1", "Hola"));
    assert!(sim.idle(PATIENCE).await);
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].body, got[1].body);
}

#[tokio::test]
async fn shuffled_statuses_all_come_in_any_order() {
    let receiver = Receiver::start();
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let shuffled = SimConfig { shuffle: true, dialect: Dialect::Meta, seed, ..config(&receiver) };
        let sim = start(shuffled).await;
        let ids = sim.inbound(InboundMessage::text("56912345678", "Hola"));
        let url = super::api::send_url(&sim, &ids.conversation_id);
        super::api::call("POST", &url, super::api::text_in_conversation("Sí")).await;
        assert!(sim.idle(PATIENCE).await);
        let statuses: Vec<String> = sim
            .deliveries()
            .iter()
            .skip(1)
            .map(|delivery| {
                let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
                body["entry"][0]["changes"][0]["value"]["statuses"][0]["status"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(statuses.len(), 3);
        orders.insert(statuses);
    }
    assert!(orders.len() > 1, "{orders:?}");
}
