//! Kapso's API, as the dispatcher calls it: requests out, answers in, no opinion on them
//! (that is `effects/outcome.rs`).

mod answer;
mod client;
mod conversation_api;

pub use answer::{Answer, Reply};
pub use client::Client;
pub(crate) use client::REQUEST_TIMEOUT;

use crate::effects::{EffectKind, Owed};

/// Which of Kapso's APIs is called, by the shape of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiStyle {
    /// The conversation API of the guide, `…/api/v1`.
    Conversation,
}

impl ApiStyle {
    /// Why a request for this effect can't be addressed, if so:
    ///
    /// | effect    | conversation API     |
    /// |-----------|----------------------|
    /// | send text | conversation id      |
    /// | mark read | message id           |
    #[must_use]
    pub fn unaddressable(self, owed: &Owed) -> Option<&'static str> {
        match (self, owed.kind) {
            (Self::Conversation, EffectKind::SendText) => owed
                .conversation_id
                .is_none()
                .then_some("the event names no conversation, and the conversation API sends to one"),
            (Self::Conversation, EffectKind::MarkRead) => owed
                .message_id
                .starts_with("webhook:")
                .then_some("the event names no message, and the conversation API marks one"),
        }
    }
}
