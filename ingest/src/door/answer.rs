//! The answer to a webhook that has become durable, as the customer's guide shows it.

use actix_web::{HttpResponse, http::header::ContentType};
use contract::kind::Kind;
use serde::Serialize;

/// In the order of the guide's example.
#[derive(Serialize)]
struct Processed<'a> {
    status: &'static str,
    message: &'static str,
    event_type: &'a str,
}

pub(super) fn processed(kind: &Kind) -> HttpResponse {
    let body =
        Processed { status: "ok", message: "Webhook processed successfully", event_type: kind.as_str() };
    // Texts always serialise.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}
