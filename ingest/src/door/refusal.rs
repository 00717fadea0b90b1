//! Why a request is not answered 200, as problem details (RFC 9457).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use contract::signature::Refused;
use serde::Serialize;

use super::unread;
use crate::keep::NotKept;

/// When a sender should come again, in seconds: Kapso's own first retry comes after as long.
const RETRY_AFTER_SECONDS: &str = "10";

/// Why a webhook is not taken. The texts are shown to the sender.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Compressed bodies are not accepted: send it without Content-Encoding")]
    Compressed,
    #[error("The body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("The body did not arrive in time")]
    TooSlow,
    #[error("The body ended early")]
    Incomplete,
    #[error("Too many bodies at once")]
    NoRoom,
    #[error(transparent)]
    Signature(#[from] Refused),
    #[error("Empty body")]
    Empty,
    #[error("The body is not JSON")]
    NotJson,
    #[error("The webhook can't be stored now: send it again later")]
    NotKept(#[from] NotKept),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete | Self::Empty | Self::NotJson => StatusCode::BAD_REQUEST,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::NoRoom | Self::NotKept(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Why, for our own log: the sender need not know how our broker and our disk are.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NotKept(why) => why.to_string(),
            other => other.to_string(),
        }
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response = problem(self.status(), &self.to_string());
        let more = match self {
            // RFC 7694: which encodings would have been taken.
            Self::Compressed => Some((header::ACCEPT_ENCODING, "identity")),
            Self::NoRoom | Self::NotKept(_) => Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

pub(super) fn problem(status: StatusCode, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let body = Problem { r#type: "about:blank", title, status: status.as_u16(), detail };
    // Texts and a number always serialise.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    HttpResponse::build(status).content_type("application/problem+json").body(body)
}

pub(super) async fn not_found(payload: web::Payload) -> HttpResponse {
    unread::holding(payload, problem(StatusCode::NOT_FOUND, "Nothing is here"))
}

pub(super) async fn method_not_allowed(payload: web::Payload) -> HttpResponse {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Send webhooks by POST");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, POST"));
    unread::holding(payload, response)
}
