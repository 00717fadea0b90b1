//! The shapes in which Kapso tells an event: pure functions from the story to bytes.

mod guide;
mod meta;
mod v1;
mod v2;

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::{
    v1::conversation as v1_conversation, v2::conversation as v2_conversation, v2::message as v2_message,
};
use crate::{
    sign,
    story::{Event, Fact, Line},
};

/// A shape of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// The integration guide's: `{event_type, conversation_id, message_id, timestamp, payload}`.
    Guide,
    /// Kapso's legacy payload version.
    V1,
    /// Kapso's current payload version.
    V2,
    /// The same, with received messages gathered in batches.
    V2Batch,
    /// Meta's own body, forwarded.
    Meta,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Guide, Self::V1, Self::V2, Self::V2Batch, Self::Meta];

    /// Its name in settings and in the control interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V2Batch => "v2-batch",
            Self::Meta => "meta",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|dialect| dialect.as_str()).collect();
            format!("unknown dialect {name:?}; known are {}", known.join(", "))
        })
    }
}

/// One HTTP request to the receiver, all but its signature.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// In which shape.
    pub dialect: Dialect,
    /// The event's kind, in that dialect's words.
    pub kind: String,
    /// The exact bytes that are signed and sent.
    pub body: Bytes,
    /// Messages in a batch's envelope; none for what is no batch.
    pub batch_size: Option<usize>,
}

/// What webhooks are signed with. An empty secret counts as none.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The webhook's own.
    pub webhook: Option<String>,
    /// The Meta app's.
    pub meta_app: Option<String>,
}

impl Webhook {
    /// The headers that the dialect sends, signature included.
    ///
    /// The guide has no idempotency key; a Meta-forwarded webhook's is the SHA-256 of its body, whatever `key` says.
    #[must_use]
    pub fn headers(&self, key: &str, secrets: &Secrets) -> Vec<(&'static str, String)> {
        let webhook_secret = secrets.webhook.as_deref().filter(|secret| !secret.is_empty());
        let app_secret = secrets.meta_app.as_deref().filter(|secret| !secret.is_empty());
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        match self.dialect {
            Dialect::Guide => {
                headers.extend(
                    webhook_secret.map(|secret| ("X-Kapso-Signature", sign::sign(secret, &self.body))),
                );
            }
            Dialect::Meta => {
                headers.push(("X-Idempotency-Key", sign::digest(&self.body)));
                if let Some(secret) = app_secret {
                    let signature = format!("sha256={}", sign::sign(secret, &self.body));
                    headers.push(("X-Hub-Signature-256", signature));
                } else if let Some(secret) = webhook_secret {
                    headers.push(("X-Webhook-Signature", sign::sign(secret, &self.body)));
                }
            }
            Dialect::V1 | Dialect::V2 | Dialect::V2Batch => {
                let version = if self.dialect == Dialect::V1 { "v1" } else { "v2" };
                headers.push(("X-Webhook-Event", self.kind.clone()));
                headers.push(("X-Idempotency-Key", key.to_owned()));
                headers.push(("X-Webhook-Payload-Version", version.to_owned()));
                if let Some(size) = self.batch_size {
                    headers.push(("X-Webhook-Batch", "true".to_owned()));
                    headers.push(("X-Batch-Size", size.to_string()));
                }
                headers.extend(
                    webhook_secret.map(|secret| ("X-Webhook-Signature", sign::sign(secret, &self.body))),
                );
            }
        }
        headers
    }
}

/// Where a batch stands in its conversation.
#[derive(Clone, Debug)]
pub struct BatchInfo {
    /// The buffering window, unscaled.
    pub window_ms: u64,
    /// The number of its first message in the conversation.
    pub first_sequence: u64,
    /// The number of its last.
    pub last_sequence: u64,
}

/// `event` as one webhook; none where the dialect has no word for it.
///
/// In the `v2-batch` dialect this is the unbatched form: batches are built by [`batch`].
#[must_use]
pub fn webhook(dialect: Dialect, line: &Line, event: &Event) -> Option<Webhook> {
    let (kind, body) = match dialect {
        Dialect::Guide => guide::body(line, event)?,
        Dialect::V1 => v1::body(line, event)?,
        Dialect::V2 | Dialect::V2Batch => v2::body(line, event)?,
        Dialect::Meta => ("messages", meta::body(line, std::slice::from_ref(event))?),
    };
    Some(Webhook { dialect, kind: kind.to_owned(), body: bytes(&body), batch_size: None })
}

/// Received messages of one conversation in the envelope of Kapso's buffering, even if it is only one.
/// Events that are no received messages are left out, as only those are ever batched.
#[must_use]
pub fn batch(line: &Line, events: &[Event], info: &BatchInfo) -> Webhook {
    let kind = "whatsapp.message.received";
    let data: Vec<Value> = events
        .iter()
        .filter(|event| matches!(event.fact, Fact::Received(_)))
        .filter_map(|event| v2::body(line, event))
        .map(|(_, body)| body)
        .collect();
    let size = data.len();
    let body = json!({
        "type": kind,
        "batch": true,
        "data": data,
        "batch_info": {
            "size": size,
            "window_ms": info.window_ms,
            "first_sequence": info.first_sequence,
            "last_sequence": info.last_sequence,
            "conversation_id": events.first().and_then(Event::conversation_id),
        },
    });
    Webhook { dialect: Dialect::V2Batch, kind: kind.to_owned(), body: bytes(&body), batch_size: Some(size) }
}

/// Several events in one Meta-forwarded body: Meta sends up to a thousand updates at once.
/// None where Meta has no word for any of them.
#[must_use]
pub fn meta_many(line: &Line, events: &[Event]) -> Option<Webhook> {
    let body = meta::body(line, events)?;
    Some(Webhook {
        dialect: Dialect::Meta,
        kind: "messages".to_owned(),
        body: bytes(&body),
        batch_size: None,
    })
}

fn bytes(body: &Value) -> Bytes {
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests;
