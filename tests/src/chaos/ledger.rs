//! What was sent, what was answered, and during which fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::envelope::WebhookId;

use super::fault::Fault;

/// Between two faults, and around all of them.
pub(super) const CALM: &str = "no fault";

/// The record of a run.
#[derive(Debug)]
pub(super) struct Ledger(Mutex<Book>);

/// All that is written down.
#[derive(Debug)]
pub(super) struct Book {
    /// By the webhook's number.
    pub(super) webhooks: BTreeMap<u64, Entry>,
    /// Answered 200, and not yet seen in Postgres.
    unseen: BTreeSet<u64>,
    /// The times between the beginnings of two faults, in order.
    pub(super) windows: Vec<Window>,
    next: u64,
}

/// One webhook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: WebhookId,
    /// How often it was sent.
    pub(super) tries: u32,
    /// The window in which it was first answered 200.
    pub(super) accepted_in: Option<usize>,
}

/// What happened from the beginning of a fault to the beginning of the next.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// What was wrong.
    pub(super) fault: Option<Fault>,
    /// Webhooks sent for the first time.
    pub(super) sent: u64,
    /// Webhooks answered 200 for the first time.
    pub(super) accepted: u64,
    /// Tries that were answered otherwise, by status.
    pub(super) refused: BTreeMap<u16, u64>,
    /// Tries that found nobody, or lost the connection: ingest was away.
    pub(super) unanswered: u64,
    /// Tries that were not answered for as long as the sender waits, by a door that was there.
    pub(super) silent: u64,
    /// The longest time to an answer, whatever it was.
    pub(super) longest: Duration,
    /// How late this program itself was woken at the worst: what the machine adds to every time measured here.
    pub(super) lateness: Duration,
    /// How many effects may end `unknown` because of it.
    pub(super) may_hide: u64,
    /// From the end of the fault until all was well again.
    pub(super) recovery: Option<Duration>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// With this HTTP status.
    Status(u16),
    /// Nobody was there, or the connection was lost.
    None,
    /// Not within the sender's patience.
    Silence,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Book {
            webhooks: BTreeMap::new(),
            unseen: BTreeSet::new(),
            windows: vec![Window::of(None, 0)],
            next: 0,
        }))
    }

    /// Reads and writes it directly.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is what is wrong.
    pub(super) fn begin(&self, fault: Fault, may_hide: u64) {
        self.book().windows.push(Window::of(Some(fault), may_hide));
    }

    /// The fault of this window has been recovered from.
    pub(super) fn recovered(&self, after: Duration) {
        self.book().window().recovery = Some(after);
    }

    /// Whoever measures here was woken so late.
    pub(super) fn late(&self, by: Duration) {
        let mut book = self.book();
        let window = book.window();
        window.lateness = window.lateness.max(by);
    }

    /// The number of the next webhook.
    pub(super) fn next(&self) -> u64 {
        let mut book = self.book();
        book.next += 1;
        book.next - 1
    }

    /// A webhook is about to be sent for the first time.
    pub(super) fn open(&self, nth: u64, id: WebhookId) {
        let mut book = self.book();
        book.window().sent += 1;
        book.webhooks.insert(nth, Entry { id, tries: 0, accepted_in: None });
    }

    /// A try of it ended.
    pub(super) fn answered(&self, nth: u64, answer: Answer, took: Duration) {
        let mut book = self.book();
        let now = book.windows.len() - 1;
        let window = book.window();
        match answer {
            Answer::Status(200) => {}
            Answer::Status(status) => *window.refused.entry(status).or_default() += 1,
            Answer::None => window.unanswered += 1,
            Answer::Silence => window.silent += 1,
        }
        if matches!(answer, Answer::Status(_)) {
            window.longest = window.longest.max(took);
        }
        let Some(entry) = book.webhooks.get_mut(&nth) else { return };
        entry.tries += 1;
        if answer == Answer::Status(200) && entry.accepted_in.is_none() {
            entry.accepted_in = Some(now);
            book.window().accepted += 1;
            book.unseen.insert(nth);
        }
    }

    /// What has been answered 200 and not been seen in Postgres.
    pub(super) fn unseen(&self) -> Vec<(u64, WebhookId)> {
        let book = self.book();
        book.unseen.iter().filter_map(|nth| Some((*nth, book.webhooks.get(nth)?.id))).collect()
    }

    /// These have been seen.
    pub(super) fn seen(&self, stored: impl IntoIterator<Item = u64>) {
        let mut book = self.book();
        for nth in stored {
            book.unseen.remove(&nth);
        }
    }
}

impl Book {
    /// The one that is open.
    fn window(&mut self) -> &mut Window {
        let last = self.windows.len() - 1;
        &mut self.windows[last]
    }
}

impl Window {
    fn of(fault: Option<Fault>, may_hide: u64) -> Self {
        Self {
            fault,
            sent: 0,
            accepted: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            silent: 0,
            longest: Duration::ZERO,
            lateness: Duration::ZERO,
            may_hide,
            recovery: None,
        }
    }

    /// The name of its row.
    pub(super) fn label(&self) -> String {
        self.fault.map_or_else(|| CALM.to_owned(), |fault| fault.to_string())
    }
}
