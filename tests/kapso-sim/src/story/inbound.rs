//! A message that a contact is to write.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::Content;
use crate::dialect::Dialect;

/// A message to be received by the business; everything but who and what has a default.
#[derive(Clone, Debug)]
pub struct InboundMessage {
    /// The writer's number, in any format; none for one known by `bsuid` alone.
    pub from: Option<String>,
    /// The writer's name.
    pub name: Option<String>,
    /// The writer's business-scoped user id.
    pub bsuid: Option<String>,
    /// What is written.
    pub content: Content,
    /// When; now unless set.
    pub at: Option<OffsetDateTime>,
    /// When Kapso wrote it down, which listings filter by; when it was written unless set.
    pub created_at: Option<OffsetDateTime>,
    /// What it answers: Meta's `context` object.
    pub context: Option<Value>,
    /// The advertisement it came from: Meta's `referral` object.
    pub referral: Option<Value>,
    /// `cloud_api` unless set.
    pub origin: Option<String>,
    /// The conversation to use; else the open one with this contact, else a new one.
    pub conversation_id: Option<String>,
    /// Kapso's id to use; else a new one.
    pub message_id: Option<String>,
    /// Meta's id to use; else a new one.
    pub wamid: Option<String>,
    /// The dialect to tell it in; else the simulator's own.
    pub dialect: Option<Dialect>,
    /// How many more times its webhook is delivered under the same key.
    pub duplicates: u32,
    /// Whether its webhook never leaves: only the listings tell of it.
    pub lost: bool,
}

impl InboundMessage {
    /// `from` writes `text`.
    #[must_use]
    pub fn text(from: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(from, Content::text(text))
    }

    /// `from` writes `content`.
    #[must_use]
    pub fn new(from: impl Into<String>, content: Content) -> Self {
        Self {
            from: Some(from.into()),
            name: None,
            bsuid: None,
            content,
            at: None,
            created_at: None,
            context: None,
            referral: None,
            origin: None,
            conversation_id: None,
            message_id: None,
            wamid: None,
            dialect: None,
            duplicates: 0,
            lost: false,
        }
    }
}

/// How the simulator named an inbound message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentIds {
    /// Kapso's id of the message: the guide's `message_id`.
    pub message_id: String,
    /// Meta's id of the message.
    pub wamid: String,
    /// Its conversation.
    pub conversation_id: String,
}
