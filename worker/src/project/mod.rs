//! Projection: from events to rows, the same rows in any order, any number of times, in
//! any batches, by any number of workers at once.
//!
//! It goes in three steps. The names in the events are resolved to ids ([`aliases`]); the
//! events are folded to at most one row for each id ([`fold`], pure); the rows are merged
//! into the tables, one statement for each. The rules by which values merge are in
//! [`registers`] and, for the second half, in `migrations/`.
//!
//! Architecture invariant: nothing here knows how a webhook arrived, and nothing here owes
//! an effect: [`project`] says which messages were received, and its caller decides.

mod aliases;
mod contacts;
mod conversations;
mod fold;
mod merge;
mod messages;
mod names;
mod reactions;
mod registers;
pub mod shadow;
mod statuses;
mod subjects;

use std::fmt;

use contract::envelope::WebhookId;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::event::{Dialect, Event, Moment};

/// What told an event.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A webhook.
    Webhook(WebhookId),
    /// An effect of ours that was performed.
    Effect(i64),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(id) => write!(f, "webhook:{id}"),
            Self::Effect(id) => write!(f, "effect:{id}"),
        }
    }
}

/// An event with where it comes from.
#[derive(Clone, Debug)]
pub struct Sourced {
    /// What told it.
    pub source: Source,
    /// When that was received.
    pub received_at: OffsetDateTime,
    /// In which dialect.
    pub dialect: Dialect,
    /// The event.
    pub event: Event,
}

/// An inbound message that a live event in the slice tells of: what a reply is decided from.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its id in `messages`.
    pub message_id: String,
    /// When it was written.
    pub at: Moment,
    /// When we received it.
    pub received_at: OffsetDateTime,
    /// The name by which Kapso's own API knows it, where the event gives it.
    pub kapso_message_id: Option<String>,
    /// Kapso's conversation.
    pub conversation_id: Option<String>,
    /// The contact's id in `contacts`.
    pub contact_id: Option<String>,
    /// Whom a reply goes to: the phone number, else the BSUID.
    pub recipient: Option<String>,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// The group that it was written in; none: a private chat.
    pub group_id: Option<String>,
    /// Its type: `text`, `image`, …
    pub kind: Option<String>,
    /// Where it was written.
    pub origin: Option<String>,
    /// The person's own words.
    pub body: Option<String>,
}

/// How the transaction stands to other projections that run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Beside others. Enough unless two known ids turn out to be one.
    Shared,
    /// Alone: rows are re-keyed.
    Exclusive,
}

/// Why a slice was not projected; its transaction is to be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Two known ids turned out to be one: try again with [`Lock::Exclusive`].
    #[error("rows must be merged")]
    NeedsExclusive,
    /// Postgres refused or went away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Takes the lock that every projecting transaction holds from before it projects anything.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn lock(tx: &mut PgConnection, lock: Lock) -> sqlx::Result<()> {
    // One number for one purpose; nothing else of ours takes a lock under it.
    const PROJECTION: i64 = 0x6275_7a6f_6e01;
    let statement = match lock {
        Lock::Shared => "SELECT pg_advisory_xact_lock_shared($1)",
        Lock::Exclusive => "SELECT pg_advisory_xact_lock($1)",
    };
    sqlx::query(statement).bind(PROJECTION).execute(tx).await?;
    Ok(())
}

/// Projects a slice of events, inside a transaction that holds `held` (see [`lock`]).
///
/// # Errors
/// [`ProjectError`]; the transaction is of no use then.
pub async fn project(
    tx: &mut PgConnection,
    events: &[Sourced],
    held: Lock,
) -> Result<Vec<Received>, ProjectError> {
    let contacts = aliases::resolve(tx, &aliases::CONTACTS, fold::contact_names(events), held).await?;
    let messages = aliases::resolve(tx, &aliases::MESSAGES, fold::message_names(events), held).await?;
    for (old, new) in &contacts.merged {
        merge::contacts(tx, old, new).await?;
    }
    for (old, new) in &messages.merged {
        merge::messages(tx, old, new).await?;
    }
    let folded = fold::fold(events, &contacts, &messages);
    contacts::upsert(tx, &folded.contacts).await?;
    conversations::upsert(tx, &folded.conversations).await?;
    messages::upsert(tx, &folded.messages).await?;
    statuses::upsert(tx, &folded.statuses).await?;
    reactions::upsert(tx, &folded.reactions).await?;
    folded.subjects.upsert(tx).await?;
    Ok(folded.received)
}

/// The pure half of [`project`] alone, with names that mean nothing but themselves: how many rows a slice comes to.
/// For measurements.
#[must_use]
pub fn fold_alone(events: &[Sourced]) -> usize {
    let contacts = aliases::alone(&fold::contact_names(events), &aliases::CONTACTS);
    let messages = aliases::alone(&fold::message_names(events), &aliases::MESSAGES);
    let folded = fold::fold(events, &contacts, &messages);
    folded.contacts.len() + folded.conversations.len() + folded.messages.len() + folded.statuses.len()
}
