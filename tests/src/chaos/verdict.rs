//! Conservation, by id: what was answered 200 is in Postgres once, and what it owes has happened once.
//!
//! What is owed is worked out from what was sent, what happened is asked of the database and of the simulator; the
//! product is not asked what it thinks of either.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;

use anyhow::Result;
use contract::envelope::WebhookId;
use kapso_sim::Sim;
use sqlx::PgPool;

use super::ledger::Ledger;
use super::story::{Owe, Story};

/// How many ids are named for each thing that is wrong.
const NAMED: usize = 20;

/// What became of the webhooks of one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    /// Answered 200, and not in the archive, or not projected.
    pub(super) lost: u64,
    /// In the archive more than once in a month.
    pub(super) doubled: u64,
    /// Effects owed.
    pub(super) owed: u64,
    /// That happened once, and are known to have.
    pub(super) once: u64,
    /// Whose outcome the product says it does not know; happened once, or not.
    pub(super) unknown: u64,
    /// That wait behind an unknown one of their lane.
    pub(super) waiting: u64,
    /// That did not happen, whatever the product says.
    pub(super) missing: u64,
    /// That happened more than once.
    pub(super) twice: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// By window.
    pub(super) fates: BTreeMap<usize, Fate>,
    wrong: BTreeMap<&'static str, Vec<String>>,
}

impl Verdict {
    /// Looks at everything.
    pub(super) async fn of(story: &Story, ledger: &Ledger, pool: &PgPool, sim: &Sim) -> Result<Self> {
        let found = Found::read(pool, sim).await?;
        let mut verdict = Self::default();
        verdict.judge(story, ledger, &found);
        verdict.judge_the_unasked(story, ledger, &found);
        Ok(verdict)
    }

    /// Notes something that must not be.
    pub(super) fn wrong(&mut self, what: &'static str, which: impl Display) {
        self.wrong.entry(what).or_default().push(which.to_string());
    }

    /// What is wrong, a line each; empty when nothing is.
    pub(super) fn complaints(&self) -> Vec<String> {
        let lines = self.wrong.iter().map(|(what, which)| {
            let named = which.get(..NAMED).unwrap_or(which).join("; ");
            let more = if which.len() > NAMED { "; …" } else { "" };
            format!("{what}: {} ({named}{more})", which.len())
        });
        lines.collect()
    }

    fn judge(&mut self, story: &Story, ledger: &Ledger, found: &Found) {
        let accepted: Vec<(u64, WebhookId, usize)> = {
            let book = ledger.book();
            let entries = book.webhooks.iter();
            entries.filter_map(|(nth, entry)| Some((*nth, entry.id, entry.accepted_in?))).collect()
        };
        for (nth, id, window) in accepted {
            let mut fate = self.fates.get(&window).copied().unwrap_or_default();
            match found.archive.get(id.as_bytes()) {
                None => {
                    fate.lost += 1;
                    self.wrong("answered 200 and lost", format!("webhook {nth} {id}"));
                }
                Some(row) => {
                    if row.rows > row.months {
                        fate.doubled += 1;
                        self.wrong("archived twice", format!("webhook {nth} {id}: {} rows", row.rows));
                    }
                    if !row.projected {
                        fate.lost += 1;
                        self.wrong("archived and not projected", format!("webhook {nth} {id}"));
                    }
                }
            }
            for owe in story.tell(nth).owes {
                self.judge_one(nth, &owe, &mut fate, found);
            }
            self.fates.insert(window, fate);
        }
    }

    fn judge_one(&mut self, nth: u64, owe: &Owe, fate: &mut Fate, found: &Found) {
        match owe {
            Owe::Message(id) if found.messages.contains(id) => {}
            Owe::Message(id) => self.wrong("messages without a row", format!("webhook {nth} {id}")),
            Owe::Conversation(id) if found.conversations.contains(id) => {}
            Owe::Conversation(id) => self.wrong("conversations without a row", format!("webhook {nth} {id}")),
            Owe::Status { message, status } => {
                let rows = found.statuses.get(&(message.clone(), (*status).to_owned()));
                if rows != Some(&1) {
                    let rows = rows.copied().unwrap_or_default();
                    self.wrong(
                        "statuses without one row",
                        format!("webhook {nth} {status} {message}: {rows}"),
                    );
                }
            }
            Owe::Mark(message) => {
                let times = found.marks.get(message).copied().unwrap_or_default();
                self.judge_effect(nth, (message, "mark_read"), times, fate, found);
            }
            Owe::Reply { message, to } => {
                let times = found.sends.get(to).copied().unwrap_or_default();
                self.judge_effect(nth, (message, "send_text"), times, fate, found);
            }
        }
    }

    fn judge_effect(
        &mut self,
        nth: u64,
        (message, kind): (&str, &str),
        times: u64,
        fate: &mut Fate,
        found: &Found,
    ) {
        fate.owed += 1;
        let row = found.effects.get(&(message.to_owned(), kind.to_owned()));
        let state = row.map_or("absent", |row| row.state.as_str());
        let which = || {
            let outcome = row.and_then(|row| row.outcome.as_deref()).unwrap_or_default();
            format!("webhook {nth} {kind} {message}: {state}, happened {times} times {outcome}")
        };
        match (state, times) {
            (_, 2..) => {
                fate.twice += 1;
                self.wrong("effects that happened more than once", which());
            }
            ("done", 1) => fate.once += 1,
            ("unknown", _) => fate.unknown += 1,
            // Whatever else is pending has been waited for.
            ("pending", 0) => fate.waiting += 1,
            _ => {
                fate.missing += 1;
                self.wrong("effects that did not happen, or are not known to have", which());
            }
        }
    }

    /// What nobody asked for, and what the archive says of itself.
    fn judge_the_unasked(&mut self, story: &Story, ledger: &Ledger, found: &Found) {
        let (mut messages, mut marks, mut numbers) = (HashSet::new(), HashSet::new(), HashSet::new());
        let sent: Vec<u64> = ledger.book().webhooks.keys().copied().collect();
        for owe in sent.into_iter().flat_map(|nth| story.tell(nth).owes) {
            match owe {
                Owe::Message(id) => _ = messages.insert(id),
                Owe::Mark(id) => _ = marks.insert(id),
                Owe::Reply { to, .. } => _ = numbers.insert(to),
                Owe::Status { .. } | Owe::Conversation(_) => {}
            }
        }
        // Our own replies are messages too.
        messages.extend(found.replies.iter().cloned());
        for id in found.messages.difference(&messages) {
            self.wrong("messages that nobody sent", id);
        }
        for id in found.marks.keys().filter(|id| !marks.contains(*id)) {
            self.wrong("marks that nothing owed", id);
        }
        for to in found.sends.keys().filter(|to| !numbers.contains(*to)) {
            self.wrong("replies that nothing owed", to);
        }
        for letter in &found.dead_letters {
            self.wrong("dead letters", letter);
        }
        for id in &found.falsified {
            self.wrong("archived bytes that are not those of their id", id);
        }
    }
}

/// All that there is.
struct Found {
    archive: HashMap<Vec<u8>, Archived>,
    falsified: Vec<String>,
    messages: HashSet<String>,
    statuses: HashMap<(String, String), i64>,
    conversations: HashSet<String>,
    effects: HashMap<(String, String), Effect>,
    dead_letters: Vec<String>,
    /// The messages that the simulator made of our replies.
    replies: Vec<String>,
    /// How often it took a reply to this number.
    sends: HashMap<String, u64>,
    /// How often it took a mark of this message.
    marks: HashMap<String, u64>,
}

struct Archived {
    rows: i64,
    months: i64,
    projected: bool,
}

struct Effect {
    state: String,
    outcome: Option<String>,
}

impl Found {
    async fn read(pool: &PgPool, sim: &Sim) -> Result<Self> {
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
