//! Answers of the API, with Kapso's real error bodies.

use serde::Serialize;
use serde_json::{Value, json};

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: ReplyBody,
    /// Headers beyond the content type.
    pub headers: Vec<(&'static str, String)>,
}

/// An answer's body.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ReplyBody {
    /// `application/json`
    Json(Value),
    /// `text/html`: what stands between Kapso and the world speaks no JSON.
    Html(String),
}

impl Reply {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: ReplyBody::Json(body), headers: Vec::new() }
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.push(("Retry-After", seconds.to_string()));
        self
    }

    /// Kapso's own error shape.
    #[must_use]
    pub fn kapso(status: u16, error: &str) -> Self {
        Self::json(status, json!({ "error": error }))
    }

    /// Meta's error shape, passed on by Kapso.
    #[must_use]
    pub fn meta(status: u16, code: i64, message: &str, details: &str) -> Self {
        let body = json!({
            "error": {
                "message": format!("(#{code}) {message}"),
                "type": "OAuthException",
                "code": code,
                "error_data": { "messaging_product": "whatsapp", "details": details },
                "fbtrace_id": "AINVENTEDtrace0000",
            },
        });
        Self::json(status, body)
    }

    /// 401: no key or a wrong one.
    #[must_use]
    pub fn wrong_token() -> Self {
        Self::kapso(401, "Invalid or missing API key")
    }

    /// 422: the contact has not written for a day.
    #[must_use]
    pub fn window_closed() -> Self {
        Self::kapso(422, "Cannot send non-template messages outside the 24-hour window.")
    }

    /// 422: the same refusal in Meta's shape, without the words of the other form.
    #[must_use]
    pub fn window_closed_by_meta() -> Self {
        let body = json!({
            "error": {
                "message": "(#131047) Re-engagement message",
                "type": "MessageError",
                "code": 131_047,
                "error_subcode": 131_047,
                "fbtrace_id": "AINVENTEDtrace0000",
            },
        });
        Self::json(422, body)
    }

    /// 402: the account has no credits left.
    #[must_use]
    pub fn insufficient_credits() -> Self {
        let body = json!({
            "error": "Insufficient credits to send this message",
            "code": "insufficient_credits",
            "billing_url": "https://app.kapso.ai/invented/billing",
        });
        Self::json(402, body)
    }

    /// 422: the contact wants no marketing messages.
    #[must_use]
    pub fn marketing_preference_stopped() -> Self {
        let error = "Contact stopped marketing messages on this WhatsApp number";
        Self::json(422, json!({ "error": error, "code": "marketing_preference_stopped" }))
    }

    /// 422: the number belongs to another account. Only the code is documented.
    #[must_use]
    pub fn messaging_account_mismatch() -> Self {
        let error = "WhatsApp number does not belong to this messaging account";
        Self::json(422, json!({ "error": error, "code": "messaging_account_mismatch" }))
    }

    /// 403: the sandbox sends only to who has opened a session with it.
    #[must_use]
    pub fn sandbox_session_required() -> Self {
        Self::kapso(403, "Active sandbox session required to send messages")
    }

    /// 409: another send is under way in this conversation.
    #[must_use]
    pub fn in_flight() -> Self {
        Self::kapso(409, "Another message is already in-flight for this conversation. Please retry shortly.")
    }

    /// 429: too many calls in this minute.
    #[must_use]
    pub fn rate_limited(seconds: u64) -> Self {
        let body = json!({
            "error": "Rate limit exceeded",
            "message": format!("Too many requests. Retry in {seconds} seconds."),
        });
        Self::json(429, body).retry_after(seconds)
    }

    /// A server error that Kapso itself answers.
    #[must_use]
    pub fn server_error(status: u16) -> Self {
        Self::kapso(status, reason(status))
    }

    /// A server error that Cloudflare answers in Kapso's place.
    #[must_use]
    pub fn cloudflare(status: u16) -> Self {
        let reason = reason(status);
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head><title>kapso.ai | {status}: {reason}</title></head>\n\
             <body><h1>{reason} <span>Error code {status}</span></h1><p>Cloudflare Ray ID: 8f0invented</p></body>\n</html>\n",
        );
        Self { status, body: ReplyBody::Html(page), headers: vec![("Server", "cloudflare".to_owned())] }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        500 => "Internal server error",
        502 => "Bad gateway",
        503 => "Service unavailable",
        504 => "Gateway time-out",
        520 => "Web server is returning an unknown error",
        524 => "A timeout occurred",
        _ => "Error",
    }
}
