//! The HTTP client: one for the process, with every deadline set.

use std::{error::Error, time::Duration};

use contract::settings::Secret;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    Answer, ApiStyle, Response, Target,
    body::{self, BodyError, MAX_ANSWER},
    conversation_api, meta_proxy,
};

/// How long a connection may take. Nothing has been sent by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request may take in all. Kapso's clients allow 30 s; a reply that takes
/// longer than this is better known as unknown.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are dropped before a server or a proxy does it (60 s is common): a
/// request on a connection that is being closed has an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// A client of one API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    style: ApiStyle,
    key_id: String,
    /// The Meta proxy, where it is there for marks.
    marks: Option<Box<Self>>,
}

impl Client {
    /// A client that calls `base` with `token`.
    ///
    /// # Errors
    /// When the token can't be a header, or TLS can't be set up.
    pub fn new(base: Url, token: &Secret) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut key = HeaderValue::from_str(token.expose())?;
        key.set_sensitive(true);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            // A POST that is redirected would be sent again, or as a GET.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .default_headers(HeaderMap::from_iter([("X-API-Key".parse()?, key)]))
            .build()?;
        Ok(Self { http, style: ApiStyle::of(&base), key_id: key_id(&base, token), base, marks: None })
    }

    /// The same client, which marks by the Meta proxy at `proxy`, with the same token, what its own API can't mark.
    #[must_use]
    pub fn marking_by(self, proxy: Url, token: &Secret) -> Self {
        let (http, key_id) = (self.http.clone(), key_id(&proxy, token));
        let marks = Self { http, base: proxy, style: ApiStyle::MetaProxy, key_id, marks: None };
        Self { marks: Some(Box::new(marks)), ..self }
    }

    /// The same client, of an address that is known to be a Meta proxy's.
    #[must_use]
    pub fn of_a_proxy(self) -> Self {
        Self { style: ApiStyle::MetaProxy, ..self }
    }

    /// Names the key that it calls with, and does not give it away.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The same for the proxy that it marks by, if there is one.
    #[must_use]
    pub fn proxy_key_id(&self) -> Option<&str> {
        self.marks.as_deref().map(Self::key_id)
    }

    /// Sends a text, and tells what came of it. The effect's id goes with it where the API
    /// gives it back.
    pub async fn send_text(&self, effect_id: i64, target: Target<'_>, text: &str) -> Answer {
        self.send(match self.style {
            ApiStyle::Conversation => conversation_api::send_text(self, target, text),
            ApiStyle::MetaProxy => meta_proxy::send_text(self, effect_id, target, text),
        })
        .await
    }

    /// Marks a message as read, and tells what came of it.
    pub async fn mark_read(&self, target: Target<'_>) -> Answer {
        self.send(match self.style {
            ApiStyle::Conversation => conversation_api::mark_read(self, target)
                .or_else(|| meta_proxy::mark_read(self.marks.as_deref()?, target)),
            ApiStyle::MetaProxy => meta_proxy::mark_read(self, target),
        })
        .await
    }

    /// A request to a path below the base, each segment escaped.
    pub(super) fn request(&self, method: Method, path: &[&str], body: Option<&Value>) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// A question to a path below the base.
    pub(super) fn question(&self, path: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        self.demand(Method::GET, path, query)
    }

    /// A request to a path below the base that says all in its query.
    pub(super) fn demand(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// The style of the API that it calls.
    #[must_use]
    pub fn style(&self) -> ApiStyle {
        self.style
    }

    /// Sends a request, and tells what came of it. None: it names nothing to act on.
    pub(super) async fn send(&self, request: Option<RequestBuilder>) -> Answer {
        let Some(request) = request else {
            return Answer::NotAsked("the effect does not name what the API acts on".to_owned());
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Answer::NotAsked(cause(&error)),
            Err(error) if error.is_connect() => return Answer::NotSent(cause(&error)),
            Err(error) => return Answer::Lost(cause(&error)),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| pause_of(text, OffsetDateTime::now_utc()));
        let without_body = Answer::Response(Response { status, retry_after, body: String::new() });
        match body::text(response, MAX_ANSWER).await {
            Ok(body) => Answer::Response(Response { status, retry_after, body }),
            Err(error @ BodyError::TooLong(_)) => {
                tracing::warn!(http.status = status, error = %error, "the body of an answer is not read");
                without_body
            }
            // The status came, but not what it says: a success without its body is one.
            Err(BodyError::Cut(error)) if (200..300).contains(&status) => {
                tracing::warn!(error = cause(&error), "an answer was cut short");
                without_body
            }
            Err(BodyError::Cut(error)) => Answer::Lost(cause(&error)),
        }
    }
}

/// A fingerprint of address and key: half of a SHA-256 is unique enough, and says nothing.
fn key_id(base: &Url, token: &Secret) -> String {
    let digest = Sha256::new().chain_update(base.as_str()).chain_update([0]).chain_update(token.expose());
    hex::encode(&digest.finalize()[..16])
}

/// Reads `Retry-After`: seconds, as Kapso gives them, or a date.
/// Source: RFC 9110, 10.2.3.
fn pause_of(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    // A date that has passed means now.
    Some((at - now).try_into().unwrap_or_default())
}

/// The innermost cause, without the address: it can hold a number.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.source().is_none() { "the request failed".to_owned() } else { innermost.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = time::macros::datetime!(2026-11-25 12:00 UTC);
        let seconds = |text| pause_of(text, now).map(|pause| pause.as_secs());
        assert_eq!(seconds(" 60 "), Some(60));
        assert_eq!(seconds("Wed, 25 Nov 2026 12:01:30 GMT"), Some(90));
        assert_eq!(seconds("Wed, 25 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(["", "-1", "soon"].map(seconds), [None, None, None]);
    }

    #[test]
    fn a_key_is_named_by_its_address_and_itself() -> Result<(), Box<dyn Error>> {
        let (one, other) = (Url::parse("https://one.example/api")?, Url::parse("https://other.example/api")?);
        let name = |base: &Url, token: &str| key_id(base, &Secret::new(token));
        assert_eq!(name(&one, "key"), name(&one, "key"));
        assert_ne!(name(&one, "key"), name(&other, "key"));
        assert_ne!(name(&one, "key"), name(&one, "another"));
        assert_eq!(name(&one, "key").len(), 32);
        Ok(())
    }
}
