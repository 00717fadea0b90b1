//! What a test event tells of.

use clap::ValueEnum;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::tools::screen;

/// What can be told in a test event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    #[value(name = "message.received")]
    Received,
    #[value(name = "message.sent")]
    Sent,
    #[value(name = "message.delivered")]
    Delivered,
    #[value(name = "message.read")]
    Read,
    #[value(name = "message.failed")]
    Failed,
    /// guide only
    #[value(name = "conversation.status_changed")]
    ConversationChanged,
    /// v1 and v2
    #[value(name = "conversation.created")]
    ConversationCreated,
    /// v1 and v2
    #[value(name = "conversation.ended")]
    ConversationEnded,
    /// guide only
    #[value(name = "contact.created")]
    ContactCreated,
    /// guide only
    #[value(name = "contact.updated")]
    ContactUpdated,
}

impl Kind {
    /// As the guide writes it; Kapso puts `whatsapp.` before it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Received => "message.received",
            Self::Sent => "message.sent",
            Self::Delivered => "message.delivered",
            Self::Read => "message.read",
            Self::Failed => "message.failed",
            Self::ConversationChanged => "conversation.status_changed",
            Self::ConversationCreated => "conversation.created",
            Self::ConversationEnded => "conversation.ended",
            Self::ContactCreated => "contact.created",
            Self::ContactUpdated => "contact.updated",
        }
    }

    /// The status that it tells of a message of ours.
    pub(super) fn status(self) -> Option<&'static str> {
        match self {
            Self::Sent => Some("sent"),
            Self::Delivered => Some("delivered"),
            Self::Read => Some("read"),
            Self::Failed => Some("failed"),
            _ => None,
        }
    }

    /// Whether it is about a message.
    pub(super) fn is_of_a_message(self) -> bool {
        self == Self::Received || self.status().is_some()
    }

    /// Whether it is about a conversation as such.
    pub(super) fn is_of_a_conversation(self) -> bool {
        matches!(self, Self::ConversationChanged | Self::ConversationCreated | Self::ConversationEnded)
    }
}

/// Whom and what it tells of. Names are new in every event, unless they are given.
pub(super) struct Told {
    pub(super) kind: Kind,
    /// The message's name at WhatsApp; for the guide, Kapso's.
    pub(super) message_id: String,
    pub(super) conversation_id: String,
    /// Their number, digits only.
    pub(super) contact: String,
    pub(super) phone_number_id: String,
    pub(super) text: String,
    pub(super) at: OffsetDateTime,
}

/// The error of a message that failed. Source: Meta, "Cloud API: Error codes".
const ERROR: i64 = 131_026;

impl Told {
    /// A number that nobody has, new in every event (Chile's plan has no such range).
    pub(super) fn nobodys_number() -> String {
        format!("5690000{:04}", rand::random_range(0..10_000))
    }

    /// A name of this sort, new in every event.
    pub(super) fn fresh(sort: &str) -> String {
        format!("{sort}{:016x}", rand::random::<u64>())
    }

    pub(super) fn seconds(&self) -> String {
        self.at.unix_timestamp().to_string()
    }

    pub(super) fn iso(&self) -> String {
        screen::instant(self.at)
    }

    pub(super) fn number(&self) -> String {
        format!("+{}", self.contact)
    }

    /// A status as Meta writes it.
    pub(super) fn meta_status(&self, status: &str) -> Value {
        let mut told = json!({
            "id": self.message_id, "status": status, "timestamp": self.seconds(), "recipient_id": self.contact,
        });
        if status == "failed" {
            told["errors"] = json!([{
                "code": ERROR, "title": "Message undeliverable", "message": "Message undeliverable",
                "error_data": { "details": "a test of worker send-test" },
            }]);
        }
        told
    }
}
