//! What Buzón owes the outside world, and how it is performed.
//!
//! Two roles. The *outbox* is written by the projection, in the transaction that stores a
//! message: [`Policy`] decides (pure) what is owed, [`outbox`] writes it, together with what other
//! events of the message say ([`join`], pure). The *dispatcher*
//! ([`dispatcher`]) performs: it leases an effect and commits the attempt ([`lease`]), lets
//! the request leave, judges the answer by one table ([`outcome`], pure), and has it recorded
//! together with what else has ended ([`recorder`], [`record`]). What the workers that share a key of the API know of it together ([`hold`],
//! pure; [`api_key`], its table) decides how much may leave.
//!
//! Architecture invariant: nothing else has Kapso's API do anything. A request leaves only over an
//! attempt that is committed, and one whose end nobody saw is never repeated.

mod api_key;
pub mod by_hand;
mod choose;
pub mod dispatcher;
mod hold;
mod join;
mod known;
mod lane;
mod lease;
pub mod outbox;
mod outcome;
mod owed;
mod record;
mod recorder;
pub mod reply;
mod rule_book;
mod rules;
pub mod settle;
pub mod sweep;
pub mod takeover;
mod way;
mod withdrawn;

pub use api_key::ApiKey;
pub use owed::{Owed, Policy, Refusal, State};
pub use rule_book::{BookError, LoopGuard, RuleBook};
pub use rules::{Matching, Rule, Rules};

/// What can be owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// Send a text to the contact.
    SendText,
    /// Mark the message as read.
    MarkRead,
}

impl EffectKind {
    /// As the table has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendText => "send_text",
            Self::MarkRead => "mark_read",
        }
    }

    /// From the table.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::SendText, Self::MarkRead].into_iter().find(|kind| kind.name() == name)
    }
}
