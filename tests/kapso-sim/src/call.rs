//! What was asked of the API: every call, kept for assertions.

use serde::Serialize;
use serde_json::Value;

use crate::{fault::Action, reply::ReplyBody};

/// One call of the API, as it came and as it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Counts calls from 1.
    pub number: u64,
    /// When it came (ISO-8601).
    pub at: String,
    /// When it came, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// The HTTP method.
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The query string, as it came.
    pub query: String,
    /// The body; a string where it is no JSON.
    pub body: Value,
    /// The key that it presented.
    pub api_key: Option<String>,
    /// What kind of call it is.
    pub action: Action,
    /// The fault that it ran into.
    pub fault: Option<&'static str>,
    /// The status of the answer; none where the connection was cut instead.
    pub status: Option<u16>,
    /// The body of the answer.
    pub answer: Option<ReplyBody>,
    /// Whether it had its effect, whatever was answered.
    pub accepted: bool,
}

/// A send that had its effect.
#[derive(Clone, Debug, Serialize)]
pub struct AcceptedSend {
    /// The call that asked for it.
    pub call: u64,
    /// When (ISO-8601).
    pub at: String,
    /// When, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// Kapso's id of the message.
    pub message_id: String,
    /// Meta's id of the message.
    pub wamid: String,
    /// The conversation that it went to.
    pub conversation_id: String,
    /// The contact's number (digits) or business-scoped id.
    pub to: Option<String>,
    /// The message's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its text, if it is one.
    pub text: Option<String>,
    /// The message that it answers.
    pub context_message_id: Option<String>,
    /// What the sender asked to have echoed.
    pub callback_data: Option<String>,
}

/// A mark-as-read that had its effect.
#[derive(Clone, Debug, Serialize)]
pub struct AcceptedMark {
    /// The call that asked for it.
    pub call: u64,
    /// When (ISO-8601).
    pub at: String,
    /// The message as the call named it.
    pub message: String,
    /// Its conversation, if the message is known.
    pub conversation_id: Option<String>,
    /// Whether a typing indicator was asked for.
    pub typing: bool,
}

/// Everything that was asked.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    count: u64,
    pub(crate) calls: Vec<Call>,
    pub(crate) sends: Vec<AcceptedSend>,
    pub(crate) marks: Vec<AcceptedMark>,
}

impl Calls {
    /// The number of the call that is coming in.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Forgets what was asked; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.sends.clear();
        self.marks.clear();
    }
}
