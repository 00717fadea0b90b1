//! What was sent, and what was answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::envelope::WebhookId;

/// The record of a run.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Pages>);

/// All that is written down.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Answered 200, by their number.
    pub(crate) accepted: BTreeMap<u64, Accepted>,
    /// Webhooks begun.
    pub(crate) sent: u64,
    /// Tries that were answered otherwise, by status.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Tries that found nobody, or lost the connection.
    pub(crate) unanswered: u64,
}

/// A webhook that was answered 200.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) id: WebhookId,
    /// Its message.
    pub(crate) message: String,
    /// Where its reply goes, if it asks for one.
    pub(crate) asks_in: Option<String>,
}

impl Book {
    /// Reads and writes it.
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have been answered 200.
    pub(crate) fn accepted(&self) -> usize {
        self.pages().accepted.len()
    }

    /// All of it in a line.
    pub(crate) fn said(&self) -> String {
        let pages = self.pages();
        let refused: Vec<_> =
            pages.refused.iter().map(|(status, times)| format!("{times} × {status}")).collect();
        format!(
            "{} webhooks sent, {} answered 200; tries refused: {}, unanswered: {}",
            pages.sent,
            pages.accepted.len(),
            if refused.is_empty() { "none".to_owned() } else { refused.join(", ") },
            pages.unanswered
        )
    }
}
