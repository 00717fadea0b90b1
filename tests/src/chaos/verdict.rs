//! Conservation, by id: what was answered 200 is in Postgres once, and what it owes has happened once.
//!
//! What is owed is worked out from what was sent, what happened is asked of the database and of the simulator; the
//! product is not asked what it thinks of either.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use anyhow::Result;
use contract::envelope::WebhookId;
use kapso_sim::Sim;
use sqlx::PgPool;

use super::found::Found;
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
            let owes = story.tell(nth).owes;
            for (place, owe) in owes.iter().enumerate() {
                match owe {
                    Owe::Mark(message) if found.is_covered(message, owes.get(place + 1..)) => {
                        (fate.owed, fate.once) = (fate.owed + 1, fate.once + 1);
                    }
                    owe => self.judge_one(nth, owe, &mut fate, found),
                }
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
