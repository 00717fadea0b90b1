use kapso_sim::{Dialect, InboundMessage, MessagingHealth, NumberState, SimConfig, Statuses, sign};
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
    // Whole, to everybody who lists.
    assert_eq!(listed["data"][0]["secret_key"], "registered");
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
async fn a_test_event_is_queued_if_it_is_subscribed_and_listed_nowhere() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { statuses: Statuses::NONE, ..config(&receiver) }).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    let (_, listed) = call("GET", &url, None).await;
    let one = format!("{url}/{}", listed["data"][0]["id"].as_str().unwrap());
    let events = json!(["whatsapp.message.read", "whatsapp.message.sent"]);
    let change = json!({ "whatsapp_webhook": { "events": events } });
    assert_eq!(call("PATCH", &one, Some(change)).await.0, 200);
    let test = format!("{one}/test");
    let event = |kind: &str| Some(json!({ "event_type": kind }));

    let queued = call("POST", &test, event("whatsapp.message.read")).await;
    assert_eq!(queued, (StatusCode::OK, json!({ "data": { "success": true } })));
    // Known, but not subscribed; unknown; named where nobody reads it; not named at all.
    let of_query = format!("{test}?event_type=whatsapp.message.read");
    for (url, body, why) in [
        (&test, event("whatsapp.message.received"), "not subscribed"),
        (&test, event("message.read"), "not subscribed"),
        (&of_query, None, "can't be blank"),
        (&test, Some(json!({})), "can't be blank"),
    ] {
        let (status, answer) = call("POST", url, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer["error"].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(call("POST", &format!("{url}/no-such/test"), event("whatsapp.message.read")).await.0, 404);
    assert!(sim.idle(PATIENCE).await);
    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].header("X-Webhook-Event"), Some("whatsapp.message.read"));
    let (_, messages) = call("GET", &format!("{}/whatsapp/messages", sim.platform_url()), None).await;
    assert_eq!(messages["data"], json!([]));
}

#[tokio::test]
async fn silence_has_two_names_in_a_registration() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    let (_, listed) = call("GET", &url, None).await;
    assert_eq!(listed["data"][0]["inactivity_minutes"], 60);
    let one = format!("{url}/{}", listed["data"][0]["id"].as_str().unwrap());
    for (name, minutes, status, shown) in [
        ("inactivity_minutes", 5, 200, 5),
        ("inactive_after_minutes", 1440, 200, 1440),
        ("inactivity_minutes", 0, 422, 1440),
        ("inactive_after_minutes", 1441, 422, 1440),
    ] {
        let change = json!({ "whatsapp_webhook": { name: minutes } });
        assert_eq!(call("PATCH", &one, Some(change)).await.0, status, "{name} {minutes}");
        assert_eq!(call("GET", &one, None).await.1["data"]["inactivity_minutes"], shown);
    }
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

#[tokio::test]
async fn a_registration_needs_a_secret_and_keeps_its_kind() {
    let receiver = Receiver::start();
    let sim = start(SimConfig { webhook_url: None, statuses: Statuses::NONE, ..config(&receiver) }).await;
    let url = format!("{}/whatsapp/webhooks", sim.platform_url());
    let made = |webhook: Value| Some(json!({ "whatsapp_webhook": webhook }));
    for (without, why) in [
        (json!({ "url": receiver.url() }), "Secret key can't be blank"),
        (json!({ "url": receiver.url(), "secret_key": "" }), "Secret key can't be blank"),
        (json!({ "url": "nowhere", "secret_key": "s" }), "Url is invalid"),
        (
            json!({ "url": receiver.url(), "secret_key": "s", "kind": "slack" }),
            "Kind is not included in the list",
        ),
    ] {
        assert_eq!(
            call("POST", &url, made(without)).await,
            (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": why }))
        );
    }
    let events = json!(["whatsapp.message.received"]);
    for (kind, other, shown) in [("kapso", "meta", &events), ("meta", "kapso", &json!([]))] {
        let webhook =
            json!({ "url": receiver.url(), "kind": kind, "events": &events, "secret_key": "s3cret" });
        let (status, answer) = call("POST", &url, made(webhook)).await;
        assert_eq!(status, StatusCode::CREATED);
        let one = format!("{url}/{}", answer["data"]["id"].as_str().unwrap());
        let (status, refused) = call("PATCH", &one, made(json!({ "kind": other }))).await;
        assert_eq!(
            (status, refused),
            (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": "Kind can't be changed" }))
        );
        // Naming the same kind changes nothing, nor does a version make another shape of Meta's.
        let same = json!({ "kind": kind, "payload_version": "v2", "events": &events });
        assert_eq!(call("PATCH", &one, made(same)).await.0, 200);
        let (_, got) = call("GET", &one, None).await;
        let data = &got["data"];
        assert_eq!((&data["kind"], &data["events"]), (&json!(kind), shown));
        assert_eq!(data["secret_key"], "s3cret");
    }
}

#[tokio::test]
async fn a_number_shows_what_it_is_like_and_how_well_it_is() {
    let receiver = Receiver::start();
    let sim = start(config(&receiver)).await;
    let numbers = format!("{}/whatsapp/phone_numbers", sim.platform_url());
    let one = format!("{numbers}/{}", sim.line().phone_number_id);
    let (_, listed) = call("GET", &numbers, None).await;
    let (status, got) = call("GET", &one, None).await;
    assert_eq!((status, &got["data"]), (StatusCode::OK, &listed["data"][0]));
    let expected = json!({
        "inbound_processing_enabled": true, "is_coexistence": false, "calls_enabled": false,
        "status": "CONNECTED", "quality_rating": "GREEN", "throughput_tier": "TIER_10K",
        "whatsapp_business_manager_messaging_limit": "10000",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&got["data"][name], value, "{name}");
    }
    assert_eq!(call("GET", &format!("{numbers}/0"), None).await.0, 404);

    let health = async || call("GET", &format!("{one}/health"), None).await.1;
    let well = health().await;
    assert_eq!(well["status"], "healthy");
    assert_eq!(well["checks"]["phone_number_connection"]["passed"], true);
    assert_eq!(well["checks"]["messaging_health"]["overall_status"], "AVAILABLE");
    for (state, summary, overall, passed, connected) in [
        (
            NumberState::default().messaging(MessagingHealth::Limited),
            "degraded",
            "LIMITED",
            json!(false),
            true,
        ),
        (
            NumberState::default().messaging(MessagingHealth::Blocked),
            "unhealthy",
            "BLOCKED",
            json!(false),
            true,
        ),
        (
            NumberState { messaging_passed: None, ..NumberState::default() },
            "healthy",
            "AVAILABLE",
            Value::Null,
            true,
        ),
        (
            NumberState { connection_passed: Some(false), ..NumberState::default() },
            "unhealthy",
            "AVAILABLE",
            json!(true),
            false,
        ),
    ] {
        sim.set_number(state);
        let told = health().await;
        let messaging = &told["checks"]["messaging_health"];
        assert_eq!((&told["status"], &messaging["overall_status"]), (&json!(summary), &json!(overall)));
        assert_eq!(messaging.get("passed"), Some(&passed));
        assert_eq!(told["checks"]["phone_number_connection"]["passed"], connected);
    }
    let blind =
        NumberState { inbound_processing_enabled: false, quality_rating: "RED".to_owned(), ..sim.number() };
    sim.set_number(blind);
    let (_, got) = call("GET", &one, None).await;
    assert_eq!(got["data"]["inbound_processing_enabled"], false);
    assert_eq!(got["data"]["quality_rating"], "RED");
}
