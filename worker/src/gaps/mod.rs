//! What never reached us: Kapso gives a webhook up after minutes, and then only its listings
//! still tell of the message.
//!
//! One [`check`] asks for all messages of a time ([`walk`], page by page, [`ask`]ed frugally:
//! the key's rate limit is for replies), reads each of them as a webhook of ours would be
//! read ([`listed`]), compares it with what we have ([`known`]), and stores what we lack if
//! it is told to. `worker backfill` does that by hand, the [`detector`] by itself. What is
//! stored is archived as a webhook of dialect `backfill`, and owes no effects.
//!
//! Architecture invariant: nothing here changes anything at Kapso, and nothing is stored but
//! through [`crate::store`].

mod ask;
mod check;
pub mod detector;
mod history;
mod known;
mod listed;
mod lock;
pub(crate) mod numbers;
mod report;
mod settings;
mod walk;

use time::OffsetDateTime;

use crate::fault::Fault;

pub use check::{Check, check};
pub(crate) use known::not_known;
pub use listed::Skip;
pub(crate) use listed::{Listed, Raw};
pub use lock::Lock;
pub use report::{Found, Report, What};
pub use settings::GapSettings;
pub(crate) use walk::{OfConversation, OfNumber};

/// The time whose messages are compared, by when they were written. Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// None written before.
    pub since: OffsetDateTime,
    /// None written after.
    pub until: OffsetDateTime,
}

impl Window {
    /// Whether a message that was written then is compared.
    #[must_use]
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        (self.since..=self.until).contains(&at)
    }
}

/// Why a check ended before its end. What it has stored by then stays stored.
#[derive(Debug, thiserror::Error)]
pub enum GapError {
    /// Nothing asked with this token is answered.
    #[error("Kapso refuses the token ({0}): look at KAPSO_API_TOKEN")]
    TokenRefused(String),
    /// Kapso refuses this question, and would again.
    #[error("Kapso refuses to list {what}: {why}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// It was asked often enough.
    #[error("Kapso did not list {what} in {tries} tries: {why}")]
    GaveUp {
        /// What was asked for.
        what: &'static str,
        /// How often.
        tries: u32,
        /// How the last try ended.
        why: String,
    },
    /// It would go on for ever.
    #[error("Kapso lists {0} over and over: the pages do not end")]
    Endless(&'static str),
    /// The Meta proxy lists by number, and we know none.
    #[error("no number of ours is known, and the Meta proxy lists by number: set KAPSO_PHONE_NUMBER_ID")]
    NoNumber,
    /// The database.
    #[error(transparent)]
    Store(#[from] Fault),
    /// Somebody asked it to stop.
    #[error("stopped")]
    Stopped,
}

impl From<sqlx::Error> for GapError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
