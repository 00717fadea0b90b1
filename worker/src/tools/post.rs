//! One webhook, posted as Kapso posts it, and what came back.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, LOCATION},
};
use serde_json::Value;

use crate::kapso;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long an answer may take: Kapso waits for as long. Source: Kapso's documentation, "Webhooks".
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes: ours are short.
const MAX_ANSWER: usize = 16 * 1024;

/// Headers, by name.
pub type Headers = Vec<(&'static str, String)>;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Somebody answered.
    Answered(Answered),
    /// Nobody did.
    Failed {
        /// How.
        how: Failure,
        /// In words.
        why: String,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// How there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such name.
    Name,
    /// Nobody listens there.
    Refused,
    /// It took too long.
    Late,
    /// The certificate is not good, or the other side speaks no TLS.
    Tls,
    /// Something else.
    Other,
}

impl Answered {
    /// What ingest's own answer says in this field; none when it is somebody else's.
    #[must_use]
    pub fn says(&self, field: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body.get(field)?.as_str().map(str::to_owned)
    }

    /// Whether ingest has taken it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.status == 200 && self.says("status").as_deref() == Some("ok")
    }
}

/// A client that calls as Kapso does: it follows no redirect.
///
/// # Errors
/// When TLS can't be set up.
pub fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("buzon/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("TLS can't be set up")
}

/// Posts it.
pub async fn post(http: &reqwest::Client, url: Url, headers: &Headers, body: &[u8]) -> Sent {
    let request = http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let mut answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Sent::Failed { how: failure(&error), why: kapso::cause(&error) },
    };
    let status = answer.status().as_u16();
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await
        && body.len() < MAX_ANSWER
    {
        body.extend_from_slice(&chunk);
    }
    Sent::Answered(Answered { status, location, body: String::from_utf8_lossy(&body).into_owned() })
}

fn failure(error: &reqwest::Error) -> Failure {
    let text = kapso::cause(error).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if error.is_timeout() {
        Failure::Late
    } else if says(&["refused"]) {
        Failure::Refused
    } else if says(&["lookup", "resolve", "name or service", "nodename", "no address"]) {
        Failure::Name
    } else if says(&["certificate", "tls", "corrupt message", "handshake"]) {
        Failure::Tls
    } else {
        Failure::Other
    }
}
