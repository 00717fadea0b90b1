//! What happens on a business number, told without any wire format: the dialects write it down.

mod content;
mod inbound;
pub(crate) mod origin;
mod outbound;
mod phone_call;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

pub use self::{
    content::{Content, Media},
    inbound::{InboundMessage, SentIds},
    outbound::PersonsMessage,
    phone_call::{CallProgress, PhoneCall},
};
use crate::{clock, ids};

/// The business number.
#[derive(Clone, Debug)]
pub struct Line {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The number itself, digits only.
    pub number: String,
    /// Kapso's (older) id of its configuration.
    pub config_id: String,
    /// Its name.
    pub name: String,
    /// Meta's id of the business account.
    pub business_account_id: String,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            phone_number_id: "118800223344556".to_owned(),
            number: "56225550100".to_owned(),
            config_id: "5e001eef-1a01-4001-9007-0c4d00019919".to_owned(),
            name: "Tienda de prueba".to_owned(),
            business_account_id: "300400500".to_owned(),
        }
    }
}

/// Who writes to the business.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Kapso's id.
    pub id: String,
    /// Digits only; none for one who is known by a business-scoped id alone.
    pub number: Option<String>,
    /// The profile's name.
    pub name: Option<String>,
    /// Meta's business-scoped user id, e.g. `CL.1349…`.
    pub bsuid: Option<String>,
    /// When Kapso first saw it.
    pub created_at: OffsetDateTime,
}

impl Contact {
    /// One known by a number, in any format.
    #[must_use]
    pub fn with_number(number: &str) -> Self {
        Self { id: ids::uuid(), number: digits(number), name: None, bsuid: None, created_at: clock::now() }
    }

    /// The number with its `+`, as the guide and Kapso v1 write it.
    pub(crate) fn e164(&self) -> Option<String> {
        self.number.as_ref().map(|number| format!("+{number}"))
    }
}

/// The digits of a number; none if there are none.
pub(crate) fn digits(number: &str) -> Option<String> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// A conversation: Kapso opens a new one for each session with a contact.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Kapso's id.
    pub id: String,
    /// With whom.
    pub contact: Contact,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When anything last happened in it.
    pub last_active_at: OffsetDateTime,
    /// Whether it has been closed.
    pub ended: bool,
    /// Messages so far.
    pub messages: u32,
}

impl Conversation {
    /// A new one with `contact`, opened at `at`.
    #[must_use]
    pub fn open(contact: Contact, at: OffsetDateTime) -> Self {
        Self { id: ids::uuid(), contact, created_at: at, last_active_at: at, ended: false, messages: 0 }
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.ended { "ended" } else { "active" }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a contact to the business.
    Inbound,
    /// From the business to a contact.
    Outbound,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// A WhatsApp message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Kapso's id.
    pub id: String,
    /// Meta's id.
    pub wamid: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it belongs, as that was when the message came.
    pub conversation: Conversation,
    /// Whether it opened its conversation.
    pub is_new_conversation: bool,
    /// What it says.
    pub content: Content,
    /// When it was written.
    pub at: OffsetDateTime,
    /// What it answers: Meta's `context` object.
    pub context: Option<Value>,
    /// The advertisement it came from: Meta's `referral` object.
    pub referral: Option<Value>,
    /// `cloud_api`, `business_app` or `history_sync`.
    pub origin: String,
    /// What the sender asked to have echoed in statuses.
    pub callback_data: Option<String>,
    /// What has become of it, oldest first.
    pub statuses: Vec<StatusChange>,
}

impl Message {
    /// The newest status in words.
    pub(crate) fn status(&self) -> &'static str {
        match (self.statuses.last(), self.direction) {
            (Some(change), _) => change.status.as_str(),
            (None, Direction::Inbound) => "received",
            (None, Direction::Outbound) => "pending",
        }
    }
}

/// What becomes of an outbound message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Meta took it.
    Sent,
    /// It reached the contact.
    Delivered,
    /// The contact opened it.
    Read,
    /// It will not arrive.
    Failed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

/// A status with its time.
#[derive(Clone, Debug)]
pub struct StatusChange {
    /// The status.
    pub status: Status,
    /// Since when.
    pub at: OffsetDateTime,
    /// Why, for a failure.
    pub error: Option<MessageError>,
}

/// Why a message failed, in Meta's terms.
#[derive(Clone, Debug)]
pub struct MessageError {
    /// Meta's error code, e.g. 131047.
    pub code: i64,
    /// Its title.
    pub title: String,
    /// What exactly went wrong.
    pub details: String,
}

/// A fact with its time: what one webhook tells.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened.
    pub at: OffsetDateTime,
    /// What happened.
    pub fact: Fact,
}

/// What can happen on a number. Kinds that are not here are sent raw.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A contact wrote.
    Received(Message),
    /// An outbound message changed its status.
    Status(Message, StatusChange),
    /// A conversation was opened.
    ConversationCreated(Conversation),
    /// A conversation was closed.
    ConversationEnded(Conversation),
    /// A contact was seen for the first time.
    ContactCreated(Contact),
    /// A contact's name or id changed; beside it the business-scoped id that it had before.
    ContactUpdated(Contact, Option<String>),
}

impl Event {
    /// A contact wrote `message`.
    #[must_use]
    pub fn received(message: Message) -> Self {
        Self { at: message.at, fact: Fact::Received(message) }
    }

    /// `message` changed its status.
    #[must_use]
    pub fn status(message: Message, change: StatusChange) -> Self {
        Self { at: change.at, fact: Fact::Status(message, change) }
    }

    pub(crate) fn conversation_id(&self) -> Option<&str> {
        match &self.fact {
            Fact::Received(message) | Fact::Status(message, _) => Some(&message.conversation.id),
            Fact::ConversationCreated(conversation) | Fact::ConversationEnded(conversation) => {
                Some(&conversation.id)
            }
            Fact::ContactCreated(_) | Fact::ContactUpdated(..) => None,
        }
    }

    /// Both names of the message that this is about.
    pub(crate) fn message_ids(&self) -> Vec<String> {
        match &self.fact {
            Fact::Received(message) | Fact::Status(message, _) => {
                vec![message.id.clone(), message.wamid.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Kapso delivers received and sent in order within a conversation, everything else in any.
    pub(crate) fn is_ordered(&self) -> bool {
        match &self.fact {
            Fact::Received(_) => true,
            Fact::Status(_, change) => change.status == Status::Sent,
            _ => false,
        }
    }
}
