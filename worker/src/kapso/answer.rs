//! What came of a request.

use std::time::Duration;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: String,
}

/// The most characters of an error's text that are kept.
const MAX_SUMMARY: usize = 300;

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

    /// The code of an error of Meta's.
    #[must_use]
    pub fn meta_code(&self) -> Option<i64> {
        let body = self.json()?;
        body.pointer("/error/code").or_else(|| body.get("code"))?.as_i64()
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
        // It is stored, and Postgres refuses U+0000 in a text; and it is logged, and may name whom the request was about.
        let mut text = shown::remark(text).replace('\0', "\u{FFFD}");
        text.truncate(text.floor_char_boundary(MAX_SUMMARY));
        match (text.as_str(), self.meta_code()) {
            ("", _) => format!("HTTP {}", self.status),
            (text, Some(code)) => format!("HTTP {}: {text} ({code})", self.status),
            (text, None) => format!("HTTP {}: {text}", self.status),
        }
    }
}
