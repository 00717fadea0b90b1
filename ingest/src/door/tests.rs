//! The order of checks, and each answer, through actix's own test service.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use actix_web::{
    App,
    dev::{Service, ServiceResponse},
    http::Method,
    test::{TestRequest, init_service, read_body},
    web::Data,
};
use contract::signature::sign;

use super::*;
use crate::{alarms::Alarms, keep, publish::Unconfirmed, spool::NotStored};

const SECRET: &str = "s3cret";
const BODY: &str = r#"{"event_type":"message.received"}"#;
const LIMITS: Limits = Limits { body_bytes: 100, inflight_bytes: 150, body_deadline: Duration::from_secs(1) };

fn door(secrets: &[&str], outcome: Result<(), Unconfirmed>) -> Data<Door> {
    let secrets: Vec<_> = secrets.iter().copied().map(Secret::new).collect();
    let keeper = keep::always(outcome, outcome.map_err(|_| NotStored::Full));
    let token = Secret::new("token");
    let signatures = Signatures::new(Alarms::new());
    Data::new(Door::new(
        Keys::new(&secrets, None),
        Some(token),
        LIMITS,
        keeper,
        Figures::register(),
        signatures,
    ))
}

async fn call(door: &Data<Door>, request: TestRequest) -> ServiceResponse {
    let app = init_service(App::new().app_data(door.clone()).configure(routes)).await;
    app.call(request.to_request()).await.expect("an answer")
}

/// The answer's status, its media type, and its body.
async fn told(door: &Data<Door>, request: TestRequest) -> (u16, String, String) {
    let response = call(door, request).await;
    let status = response.status().as_u16();
    let media_type = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
    (status, media_type, body)
}

async fn status(door: &Data<Door>, request: TestRequest) -> u16 {
    call(door, request).await.status().as_u16()
}

fn post(body: &str) -> TestRequest {
    TestRequest::post().uri(WEBHOOK_PATH).set_payload(body.to_owned())
}

fn declaring(length: usize, request: TestRequest) -> TestRequest {
    request.insert_header((header::CONTENT_LENGTH, length))
}

fn signed(body: &str) -> TestRequest {
    post(body).insert_header(("X-Kapso-Signature", sign(&Secret::new(SECRET), body.as_bytes())))
}

#[actix_web::test]
async fn a_durable_webhook_is_answered_as_the_guide_shows() {
    let (status, media_type, body) = told(&door(&[SECRET], Ok(())), signed(BODY)).await;
    assert_eq!((status, media_type.as_str()), (200, "application/json"));
    assert_eq!(
        body,
        r#"{"status":"ok","message":"Webhook processed successfully","event_type":"message.received"}"#
    );
}

#[actix_web::test]
async fn a_refusal_is_problem_details() {
    let (status, media_type, body) = told(&door(&[SECRET], Ok(())), post(BODY)).await;
    assert_eq!((status, media_type.as_str()), (401, "application/problem+json"));
    assert_eq!(
        body,
        r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Missing X-Kapso-Signature header"}"#
    );
}

#[actix_web::test]
async fn encoding_comes_before_length_before_signature_before_content() {
    let door = door(&[SECRET], Ok(()));
    let compressed = |request: TestRequest| request.insert_header(("Content-Encoding", "gzip"));
    assert_eq!(status(&door, compressed(declaring(101, post("")))).await, 415);
    assert_eq!(status(&door, declaring(101, post(""))).await, 413);
    assert_eq!(status(&door, post("")).await, 401);
    assert_eq!(status(&door, signed("")).await, 400);
    assert_eq!(status(&door, signed("not JSON, but authentic")).await, 200);
    let identity = signed(BODY).insert_header(("Content-Encoding", "Identity"));
    assert_eq!(status(&door, identity).await, 200);
}

#[actix_web::test]
async fn a_body_is_limited_whatever_it_declares() {
    let door = door(&[SECRET], Ok(()));
    let (limit, beyond) = ("x".repeat(100), "x".repeat(101));
    assert_eq!(status(&door, signed(&limit)).await, 200);
    assert_eq!(status(&door, signed(&beyond)).await, 413);
    assert_eq!(status(&door, declaring(5, signed(&beyond))).await, 413);
}

#[actix_web::test]
async fn bytes_in_flight_are_limited_and_given_back() {
    let door = door(&[SECRET], Ok(()));
    let mut held = door.budget.permit();
    assert!(held.grow(100));
    let response = call(&door, signed(&"x".repeat(60))).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers().get("Retry-After").unwrap(), "10");
    // Anybody can declare much and send nothing.
    assert_eq!(status(&door, declaring(60, signed("x"))).await, 200);
    for _ in 0..3 {
        assert_eq!(status(&door, signed(&"x".repeat(50))).await, 200);
        assert_eq!(status(&door, post(&"x".repeat(50))).await, 401);
    }
    drop(held);
    assert!(door.budget.permit().grow(LIMITS.inflight_bytes));
}

#[actix_web::test]
async fn what_is_not_durable_is_not_answered_200() {
    for why in Unconfirmed::ALL {
        let response = call(&door(&[SECRET], Err(why)), signed(BODY)).await;
        assert_eq!(response.status(), 503, "{why}");
        assert_eq!(response.headers().get("Retry-After").unwrap(), "10");
    }
}

#[actix_web::test]
async fn without_a_secret_any_json_comes_in() {
    let door = door(&[], Ok(()));
    assert_eq!(status(&door, post(BODY)).await, 200);
    assert_eq!(status(&door, post("[]")).await, 200);
    assert_eq!(status(&door, post("event_type=message.received")).await, 400);
    assert_eq!(status(&door, post("")).await, 400);
    assert_eq!(status(&door, post(BODY).insert_header(("X-Kapso-Signature", "nonsense"))).await, 200);
}

#[actix_web::test]
async fn a_signature_header_twice_is_refused() {
    let signature = sign(&Secret::new(SECRET), BODY.as_bytes());
    let (status, _, body) =
        told(&door(&[SECRET], Ok(())), signed(BODY).append_header(("X-Kapso-Signature", signature))).await;
    assert_eq!(status, 401);
    assert!(body.contains(r#""detail":"Duplicate X-Kapso-Signature header""#), "{body}");
}

#[actix_web::test]
async fn the_event_header_names_what_the_body_does_not() {
    let (_, _, body) =
        told(&door(&[SECRET], Ok(())), signed("{}").insert_header(("X-Webhook-Event", "a.\"b\""))).await;
    assert!(body.ends_with(r#""event_type":"a.\"b\""}"#), "{body}");
    let (_, _, body) = told(&door(&[SECRET], Ok(())), signed("{}")).await;
    assert!(body.ends_with(r#""event_type":"unknown"}"#), "{body}");
}

#[actix_web::test]
async fn the_handshake_gets_its_challenge_back() {
    let door = door(&[SECRET], Ok(()));
    let get = |query: &str| TestRequest::get().uri(&format!("{WEBHOOK_PATH}?{query}"));
    let good = "hub.mode=subscribe&hub.verify_token=token&hub.challenge=11%2B58";
    let (status, media_type, body) = told(&door, get(good)).await;
    assert_eq!((status, media_type.as_str(), body.as_str()), (200, "text/plain; charset=utf-8", "11+58"));
    for bad in [
        "",
        "hub.mode=subscribe&hub.verify_token=token",
        "hub.mode=unsubscribe&hub.verify_token=token&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=tokens&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=x&hub.verify_token=token&hub.challenge=1",
    ] {
        let (status, media_type, _) = told(&door, get(bad)).await;
        assert_eq!((status, media_type.as_str()), (403, "application/problem+json"), "{bad}");
    }
}

#[actix_web::test]
async fn a_slash_at_the_end_of_the_path_is_the_same_door() {
    let door = door(&[SECRET], Ok(()));
    let request = TestRequest::default().method(Method::PUT).uri(&format!("{WEBHOOK_PATH}/"));
    assert_eq!(call(&door, request).await.status(), 405);
    let request = TestRequest::post().uri(&format!("{WEBHOOK_PATH}/")).set_payload("{}");
    assert_eq!(call(&door, request).await.status(), 401);
}

#[actix_web::test]
async fn other_methods_and_paths_are_problem_details_too() {
    let door = door(&[SECRET], Ok(()));
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let request = TestRequest::default().method(method).uri(WEBHOOK_PATH);
        let response = call(&door, request).await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers().get("Allow").unwrap(), "GET, POST");
    }
    let (status, media_type, _) = told(&door, TestRequest::post().uri("/api/whatsapp")).await;
    assert_eq!((status, media_type.as_str()), (404, "application/problem+json"));
}
