//! Meta's subscription handshake: it proves that whoever configures the webhook knows the
//! verify token, and gets its challenge back.
//!
//! Source: Meta, "Webhooks: Getting started, Verification requests".

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::ContentType},
    web,
};
use bytes::Bytes;
use contract::{
    settings::Secret,
    signature::{self, Keys, Presented, SignatureHeader},
};
use serde::Deserialize;

use super::{Door, refusal::problem};

/// What is signed to compare two tokens; it only has to be the same for both.
const COMPARED: &[u8] = b"hub.verify_token";

/// The token that the handshake must present.
///
/// It is compared as a key: a text signed with what was presented must verify with ours.
/// That takes the same time wherever the two differ, and however long they are.
pub(super) struct VerifyToken(Keys);

impl VerifyToken {
    pub(super) fn new(token: &Secret) -> Self {
        Self(Keys::new(std::slice::from_ref(token), None))
    }

    fn is(&self, presented: &str) -> bool {
        let code = signature::sign(&Secret::new(presented), COMPARED);
        let mut signatures = Presented::default();
        signatures.add(SignatureHeader::Kapso, code.as_bytes()).is_ok()
            && self.0.verify(&signatures, Bytes::from_static(COMPARED)).is_ok()
    }
}

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
