//! The HTTP client: one for the process, with every deadline set.

use std::{error::Error, time::Duration};

use contract::settings::Secret;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde_json::Value;

use super::{Answer, ApiStyle, Reply, Target, conversation_api, meta_proxy};

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
        Ok(Self { http, style: ApiStyle::of(&base), base })
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
            ApiStyle::Conversation => conversation_api::mark_read(self, target),
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
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(url)
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
            return Answer::NotSent("the effect does not name what the API acts on".to_owned());
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() || error.is_connect() => return Answer::NotSent(cause(&error)),
            Err(error) => return Answer::Lost(cause(&error)),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        match response.text().await {
            Ok(body) => Answer::Reply(Reply { status, retry_after, body }),
            // The status came, but not what it says: a success without its body is one.
            Err(error) if (200..300).contains(&status) => {
                tracing::warn!(error = cause(&error), "an answer was cut short");
                Answer::Reply(Reply { status, retry_after, body: String::new() })
            }
            Err(error) => Answer::Lost(cause(&error)),
        }
    }
}

/// The innermost cause, without the address: it can hold a number.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.source().is_none() { "the request failed".to_owned() } else { innermost.to_string() }
}
