//! What has become of everything: asked of the database and of the simulator.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use kapso_sim::Sim;
use sqlx::PgPool;

use super::story::Owe;

/// Why the outbox lets go of a mark. By Meta's API a mark covers all that was written before.
const COVERED: &str = "a later message's mark covers it";

/// All that there is.
pub(super) struct Found {
    /// By the webhook's id.
    pub(super) archive: HashMap<Vec<u8>, Archived>,
    /// Ids of webhooks whose bytes are not those of their id.
    pub(super) falsified: Vec<String>,
    /// Ids.
    pub(super) messages: HashSet<String>,
    /// How many rows there are of a message and a status.
    pub(super) statuses: HashMap<(String, String), i64>,
    /// Ids.
    pub(super) conversations: HashSet<String>,
    /// By message and kind.
    pub(super) effects: HashMap<(String, String), Effect>,
    /// Described.
    pub(super) dead_letters: Vec<String>,
    /// The messages that the simulator made of our replies.
    pub(super) replies: Vec<String>,
    /// How often it took a reply to this number.
    pub(super) sends: HashMap<String, u64>,
    /// How often it took a mark of this message.
    pub(super) marks: HashMap<String, u64>,
}

/// A webhook in the archive.
pub(super) struct Archived {
    pub(super) rows: i64,
    /// In how many months it was received: each keeps its own.
    pub(super) months: i64,
    /// All rows.
    pub(super) projected: bool,
}

/// What the outbox says.
pub(super) struct Effect {
    pub(super) state: String,
    pub(super) outcome: Option<String>,
}

impl Found {
    /// Reads it.
    pub(super) async fn read(pool: &PgPool, sim: &Sim) -> Result<Self> {
        let archive: Vec<(Vec<u8>, i64, i64, bool)> = sqlx::query_as(
            "SELECT id, count(*), count(DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC')),
                    bool_and(projected_at IS NOT NULL) FROM webhooks GROUP BY id",
        )
        .fetch_all(pool)
        .await?;
        let archive = archive
            .into_iter()
            .map(|(id, rows, months, projected)| (id, Archived { rows, months, projected }))
            .collect();
        // The id is the digest of kind and body: a row with the right id has the right bytes.
        let falsified = sqlx::query_scalar(
            "SELECT encode(id, 'hex') FROM webhooks
             WHERE id <> sha256(int8send(octet_length(kind)) || convert_to(kind, 'UTF8') || body)",
        )
        .fetch_all(pool)
        .await?;
        let messages: Vec<String> = sqlx::query_scalar("SELECT id FROM messages").fetch_all(pool).await?;
        let conversations: Vec<String> =
            sqlx::query_scalar("SELECT id FROM conversations").fetch_all(pool).await?;
        let statuses: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT message_id, status, count(*) FROM message_statuses GROUP BY message_id, status",
        )
        .fetch_all(pool)
        .await?;
        let effects: Vec<(String, String, String, Option<String>)> =
            sqlx::query_as("SELECT message_id, kind, state, outcome FROM effects").fetch_all(pool).await?;
        let dead_letters = sqlx::query_scalar(
            "SELECT encode(webhook_id, 'hex') || ' ' || COALESCE(item, '') || ': ' || reason
             FROM dead_letters WHERE resolved_at IS NULL",
        )
        .fetch_all(pool)
        .await?;
        let replies = sim.accepted_sends().into_iter().map(|send| send.wamid).collect();
        Ok(Self {
            archive,
            falsified,
            messages: messages.into_iter().collect(),
            statuses: statuses.into_iter().map(|(id, status, rows)| ((id, status), rows)).collect(),
            conversations: conversations.into_iter().collect(),
            effects: effects
                .into_iter()
                .map(|(id, kind, state, outcome)| ((id, kind), Effect { state, outcome }))
                .collect(),
            dead_letters,
            replies,
            sends: sends(sim),
            marks: marks(sim),
        })
    }
}

impl Found {
    /// Whether a message was not marked because the mark of a later one of the same webhook
    /// covers it, and that one left, or waits behind a reply in doubt.
    pub(super) fn is_covered(&self, message: &str, later: Option<&[Owe]>) -> bool {
        let mark = |message: &str| self.effects.get(&(message.to_owned(), "mark_read".to_owned()));
        let left = |message: &str| {
            let in_doubt = |effect: &Effect| ["unknown", "pending"].contains(&effect.state.as_str());
            self.marks.contains_key(message) || mark(message).is_some_and(in_doubt)
        };
        mark(message).is_some_and(|effect| effect.outcome.as_deref() == Some(COVERED))
            && !self.marks.contains_key(message)
            && later.into_iter().flatten().any(|owe| matches!(owe, Owe::Mark(later) if left(later)))
    }
}

/// What the simulator has taken more than once by now: told at once, while the logs are short.
pub(super) fn happened_twice(sim: &Sim) -> Vec<String> {
    let times = sends(sim).into_iter().chain(marks(sim));
    times.filter(|(_, times)| *times > 1).map(|(what, times)| format!("{what} ({times} times)")).collect()
}

/// How often the simulator took a reply to each number: nobody here asks twice.
fn sends(sim: &Sim) -> HashMap<String, u64> {
    counted(sim.accepted_sends().into_iter().map(|send| send.to.unwrap_or_default()))
}

/// How often it took a mark of each message.
fn marks(sim: &Sim) -> HashMap<String, u64> {
    counted(sim.accepted_marks().into_iter().map(|mark| mark.message))
}

fn counted(names: impl Iterator<Item = String>) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}
