//! Meta's subscription handshake: it proves that whoever configures the webhook knows the
//! verify token, and gets its challenge back.
//!
//! Source: Meta, "Webhooks: Getting started, Verification requests".

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::ContentType},
    web,
};
use serde::Deserialize;

use super::{Door, refusal::problem};

#[derive(Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode")]
    mode: String,
    #[serde(rename = "hub.verify_token")]
    token: String,
    #[serde(rename = "hub.challenge")]
    challenge: String,
}

pub(super) async fn answer(request: HttpRequest, door: web::Data<Door>) -> HttpResponse {
    let refused = |detail| {
        tracing::warn!(detail, "handshake refused");
        problem(StatusCode::FORBIDDEN, detail)
    };
    let Some(ours) = &door.verify_token else {
        return refused("No verify token is configured (KAPSO_META_VERIFY_TOKEN)");
    };
    let Ok(web::Query(handshake)) = web::Query::<Handshake>::from_query(request.query_string()) else {
        return refused("Not a subscription handshake");
    };
    if handshake.mode != "subscribe" || !ours.is(&handshake.token) {
        return refused("Wrong mode or verify token");
    }
    tracing::info!("handshake answered");
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(handshake.challenge)
}
