//! What came of a request.

use std::{fmt, time::Duration};

use contract::shown;
use serde_json::Value;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There was nothing to ask, or no time for it.
    NotAsked(String),
    /// It certainly never reached the server: no connection was made.
    NotSent(String),
    /// It may have reached the server, and no whole answer came.
    Lost(String),
    /// The server answered.
    Response(Response),
}

/// An answer of the server's.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: String,
}

/// The most bytes of an error's text that are kept.
const MAX_SUMMARY: usize = 300;

/// The most bytes of a code that is a word, such as `insufficient_credits`.
const MAX_CODE: usize = 64;

/// What Meta says of a message that it has taken, and not yet let go.
const HELD_FOR_QUALITY: &str = "held_for_quality_assessment";

impl Answer {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Response(response) => Some(response.status),
            Self::NotAsked(_) | Self::NotSent(_) | Self::Lost(_) => None,
        }
    }
}

impl fmt::Debug for Response {
    /// Leaves the body out: Kapso's listing of webhooks holds their secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, retry_after, body } = self;
        let mut shown = f.debug_struct("Response");
        shown.field("status", status).field("retry_after", retry_after);
        shown.field("body", &format_args!("{} bytes", body.len())).finish()
    }
}

impl Response {
    fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// Whether the body is an error of Kapso's own making (`{"error": "…"}` or Meta's
    /// `{"error": {…}}` passed on), not a page of some proxy on the way.
    #[must_use]
    pub fn is_kapsos_error(&self) -> bool {
        self.json().is_some_and(|body| matches!(body.get("error"), Some(Value::String(_) | Value::Object(_))))
    }

    /// The code of an error of Meta's. Kapso's own are words.
    #[must_use]
    pub fn meta_code(&self) -> Option<i64> {
        codes(&self.json()?).find_map(Value::as_i64)
    }

    /// Whether Meta has taken the message, and holds it until its quality has been checked.
    #[must_use]
    pub fn is_held_for_quality(&self) -> bool {
        let body = self.json().unwrap_or_default();
        body.pointer("/messages/0/message_status").and_then(Value::as_str) == Some(HELD_FOR_QUALITY)
    }

    /// The names of a message that was sent, WhatsApp's first.
    #[must_use]
    pub fn message_names(&self) -> Vec<String> {
        let body = self.json().unwrap_or_default();
        let names = ["/messages/0/id", "/data/whatsapp_message_id", "/data/id"]
            .into_iter()
            .filter_map(|at| body.pointer(at)?.as_str());
        // Nothing that can be stored is called by U+0000.
        names.filter(|name| !name.is_empty() && !name.contains('\0')).map(str::to_owned).collect()
    }

    /// Status and reason in one line, for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let body = self.json().unwrap_or_default();
        let text = match body.get("error") {
            Some(Value::String(text)) => text.as_str(),
            Some(error) => error.get("message").and_then(Value::as_str).unwrap_or_default(),
            None => "",
        };
        let text = cleaned(text, MAX_SUMMARY);
        let code = codes(&body).find_map(|code| match code {
            Value::Number(code) => code.as_i64().map(|code| code.to_string()),
            Value::String(code) => Some(cleaned(code.trim(), MAX_CODE)).filter(|code| !code.is_empty()),
            _ => None,
        });
        let status = self.status;
        match (text.as_str(), code) {
            ("", None) => format!("HTTP {status}"),
            ("", Some(code)) => format!("HTTP {status} ({code})"),
            (text, Some(code)) => format!("HTTP {status}: {text} ({code})"),
            (text, None) => format!("HTTP {status}: {text}"),
        }
    }
}

/// Where an error has its code: Meta's, passed on, or Kapso's own.
fn codes(body: &Value) -> impl Iterator<Item = &Value> {
    body.pointer("/error/code").into_iter().chain(body.get("code"))
}

/// A text of somebody else's, at most this many bytes of it. It is stored, and Postgres refuses
/// U+0000 in a text; and it is logged, and may name whom the request was about.
fn cleaned(text: &str, most: usize) -> String {
    let mut text = shown::remark(text).replace('\0', "\u{FFFD}");
    text.truncate(text.floor_char_boundary(most));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &str) -> Response {
        Response { status: 422, retry_after: None, body: body.to_owned() }
    }

    #[test]
    fn codes_are_numbers_of_metas_or_words_of_kapsos() {
        for (body, code, summary) in [
            (r#"{"error":{"message":"m","code":131047}}"#, Some(131_047), "HTTP 422: m (131047)"),
            (r#"{"error":"m","code":131047}"#, Some(131_047), "HTTP 422: m (131047)"),
            (r#"{"error":"m","code":"insufficient_credits"}"#, None, "HTTP 422: m (insufficient_credits)"),
            (r#"{"error":{"message":"m","code":"word"},"code":190}"#, Some(190), "HTTP 422: m (word)"),
            (r#"{"error":"m","code":" "}"#, None, "HTTP 422: m"),
            (r#"{"error":"m","code":["x"]}"#, None, "HTTP 422: m"),
            (r#"{"code":"insufficient_credits"}"#, None, "HTTP 422 (insufficient_credits)"),
            (r#"{"error":"m","code":"to +56911110001"}"#, None, "HTTP 422: m (to …)"),
            ("<html>", None, "HTTP 422"),
        ] {
            let response = response(body);
            assert_eq!((response.meta_code(), response.summary().as_str()), (code, summary), "{body}");
        }
    }

    #[test]
    fn what_others_say_is_bounded_and_can_be_stored() {
        let long = "\\u0000ñ".repeat(1000);
        let summary = response(&format!(r#"{{"error":"{long}","code":"{long}"}}"#)).summary();
        assert!(summary.len() <= MAX_SUMMARY + MAX_CODE + 20 && !summary.contains('\0'), "{summary}");
    }

    #[test]
    fn a_body_is_not_shown() {
        let shown = format!("{:?}", Answer::Response(response(r#"{"secret_key":"s3cret"}"#)));
        assert!(shown.contains("23 bytes") && !shown.contains("s3cret"), "{shown}");
    }
}
