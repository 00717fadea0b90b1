//! A message that a person of the business is to write: no call of the API asks for it.

use time::OffsetDateTime;

use super::Content;
use crate::dialect::Dialect;

/// A message to a contact, from the phone's app or from Kapso's inbox.
#[derive(Clone, Debug)]
pub struct PersonsMessage {
    /// The contact's number, in any format.
    pub to: String,
    /// What is written.
    pub content: Content,
    /// Whether it is written in the phone's app; else in Kapso's inbox, which is as good as an API.
    pub on_the_phone: bool,
    /// When; now unless set.
    pub at: Option<OffsetDateTime>,
    /// When Kapso wrote it down, which listings filter by; when it was written unless set.
    pub created_at: Option<OffsetDateTime>,
    /// The dialect to tell it in; else the simulator's own.
    pub dialect: Option<Dialect>,
    /// Whether its webhook never leaves: only the listings tell of it.
    pub lost: bool,
}

impl PersonsMessage {
    /// Written in the phone's app.
    #[must_use]
    pub fn on_the_phone(to: impl Into<String>, text: impl Into<String>) -> Self {
        let content = Content::text(text);
        Self {
            to: to.into(),
            content,
            on_the_phone: true,
            at: None,
            created_at: None,
            dialect: None,
            lost: false,
        }
    }

    /// Written in Kapso's inbox.
    #[must_use]
    pub fn in_the_inbox(to: impl Into<String>, text: impl Into<String>) -> Self {
        Self { on_the_phone: false, ..Self::on_the_phone(to, text) }
    }
}
