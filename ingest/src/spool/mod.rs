//! The spool: webhooks on this machine's disk, for as long as the broker does not take them.
//!
//! ```text
//! store ─► writer (a thread: write, sync, answer) ─► segments ─► source ─► whoever drains
//!                 └──────────────── stock (the account) ───────────┘
//! ```
//!
//! A log in segments: appended to, read once from front to back, and taken away segment by
//! segment. [`Spool::store`] comes back when a webhook has been synced; any number that wait
//! are synced at once. What an earlier run has left is found at the start.
//!
//! Architecture invariants: nothing here knows the broker; nothing is written to a file after
//! a write or a sync of it has failed; and a start writes to no file of an earlier run.

mod directory;
mod frame;
mod read;
mod record;
mod source;
mod stock;
mod watch;
mod writer;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use contract::{envelope::Envelope, health::Health};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

pub use self::directory::OpenError;
pub(crate) use self::source::{Place, Source};
use self::{
    directory::{Contents, Directory, Name},
    frame::Found,
    stock::{Segment, Stock},
    writer::{Job, Store, Writer},
};
use crate::{alarms::Alarms, figures::Figures};

/// The name of the spool in the process's health.
pub const HEALTH_PART: &str = "spool";

/// The most webhooks that wait for the disk at once.
const WAITING: usize = 1024;

/// Where the spool is and how much it may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its directory (`BUZON_SPOOL_DIR`).
    pub directory: PathBuf,
    /// The most bytes on disk (`BUZON_SPOOL_MAX_BYTES`).
    pub max_bytes: u64,
    /// What waits for longer than this raises an alarm (`BUZON_SPOOL_ALARM_SECONDS`).
    pub alarm_age: Duration,
}

/// Why a webhook is not known to be in the spool. It may be nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// There is no room, by our bound or the disk's.
    #[error("the spool is full")]
    Full,
    /// The disk failed.
    #[error("the spool can't be written")]
    Failed,
    /// The disk did not come back in time.
    #[error("the spool's disk does not answer")]
    Late,
}

impl NotStored {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Full, Self::Failed, Self::Late];

    /// The reason in one word, for figures.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }
}

/// The writing end of the spool; clones share it.
#[derive(Clone)]
pub struct Spool {
    jobs: mpsc::Sender<Job>,
    stock: Arc<Stock>,
    figures: Figures,
}

impl Spool {
    /// Takes the directory, looks at what an earlier run has left there, and starts the
    /// thread that stores. [`Source`] gives out what is there and what will be.
    ///
    /// # Errors
    /// When the directory can't be used, or is another's.
    pub(crate) fn open(settings: &Settings, figures: Figures) -> Result<(Self, Source), OpenError> {
        let path = &settings.directory;
        let directory = Arc::new(Directory::open(path)?);
        let unusable = |error| OpenError::Unusable(path.clone(), error);
        let contents = directory.contents().map_err(unusable)?;
        let stock = Arc::new(take_stock(&directory, contents, settings.max_bytes));
        let (jobs, queue) = mpsc::channel(WAITING);
        let writer = Writer::new(Arc::clone(&directory), Arc::clone(&stock));
        let thread = std::thread::Builder::new().name("spool".to_owned());
        thread.spawn(move || writer.run(queue)).map_err(unusable)?;
        let source = Source::new(directory, Arc::clone(&stock), figures.clone());
        Ok((Self { jobs, stock, figures }, source))
    }

    /// Keeps figures, health and alarms up to date, in a task that ends with the runtime.
    pub(crate) fn watch(&self, alarm_age: Duration, health: Health, alarms: Alarms) {
        let (stock, jobs) = (Arc::clone(&self.stock), self.jobs.clone());
        tokio::spawn(watch::watch(stock, jobs, alarm_age, health, self.figures.clone(), alarms));
    }

    /// Stores a webhook, and comes back when it is on the disk for good.
    ///
    /// # Errors
    /// [`NotStored`], at `deadline` at the latest.
    pub(crate) async fn store(&self, envelope: &Envelope, deadline: Instant) -> Result<(), NotStored> {
        let outcome = self.try_to_store(envelope, deadline).await;
        self.figures.spooled(outcome);
        outcome
    }

    async fn try_to_store(&self, envelope: &Envelope, deadline: Instant) -> Result<(), NotStored> {
        // What waits for a disk that hangs would only pile up in memory.
        if self.stock.is_hanging() {
            return Err(NotStored::Late);
        }
        let (answer, answered) = oneshot::channel();
        let store = Store { frame: frame::of(envelope), received_at: envelope.received_at, answer };
        let outcome = timeout_at(deadline, async {
            // Both fail only when the thread is gone.
            self.jobs.send(Job::Store(store)).await.map_err(|_| NotStored::Failed)?;
            answered.await.map_err(|_| NotStored::Failed)?
        });
        outcome.await.unwrap_or(Err(NotStored::Late))
    }
}

/// Looks at what an earlier run has left. What can't be read at its end was cut off when that
/// run was killed, and never answered 200.
fn take_stock(directory: &Directory, contents: Contents, max_bytes: u64) -> Stock {
    let (mut segments, mut other_bytes) = (Vec::new(), contents.damaged_bytes);
    let last = contents.segments.last().map_or(0, |name| name.number);
    for name in contents.segments {
        match look_at(directory, name) {
            Ok(segment) if segment.bytes == 0 => {
                if let Err(error) = directory.remove(name) {
                    tracing::warn!(%error, file = %name, "an empty segment can't be removed");
                }
            }
            Ok(segment) => segments.push(segment),
            Err(error) => {
                tracing::error!(%error, file = %name, "a segment of the spool can't be read, and is left alone");
                other_bytes += std::fs::metadata(directory.path_of(name)).map_or(0, |file| file.len());
            }
        }
    }
    let webhooks: u64 = segments.iter().map(|segment| segment.webhooks).sum();
    if webhooks > 0 {
        tracing::info!(spool.webhooks = webhooks, "an earlier run has left webhooks in the spool");
    }
    Stock::new(segments, last, other_bytes, max_bytes)
}

fn look_at(directory: &Directory, name: Name) -> io::Result<Segment> {
    let path = directory.path_of(name);
    let bytes = match std::fs::read(&path) {
        // The source tries again and takes what can be read. Nothing may be decided by what can't be seen.
        Err(error) if read::is_of_the_disk(&error) => {
            let (bytes, oldest) = (std::fs::metadata(&path)?.len(), time::OffsetDateTime::now_utc());
            tracing::error!(%error, file = %name, "a segment of the spool can't be read now");
            return Ok(Segment { name, bytes, webhooks: 0, oldest, held: false });
        }
        other => bytes::Bytes::from(other?),
    };
    let (mut good, mut webhooks, mut oldest) = (0, 0, None);
    for found in frame::read(&bytes, name.mark) {
        match found {
            Found::Record(range) => {
                good = range.end;
                webhooks += 1;
                // In the order of their coming, nearly: the first one speaks for all.
                oldest = oldest.or_else(|| Some(record::read(bytes.slice(range)).ok()?.received_at));
            }
            // Told when it is drained.
            Found::Damage(range) => good = range.end,
            Found::Torn(range) => {
                tracing::info!(file = %name, bytes = range.len(), "an unfinished end of a segment is ignored");
            }
        }
    }
    let oldest = oldest.unwrap_or_else(time::OffsetDateTime::now_utc);
    Ok(Segment { name, bytes: good as u64, webhooks, oldest, held: false })
}

/// A spool whose disk answers every webhook in the same way.
#[cfg(test)]
pub(crate) fn always(outcome: Result<(), NotStored>) -> Spool {
    let (jobs, mut queue) = mpsc::channel(1);
    std::thread::spawn(move || {
        while let Some(job) = queue.blocking_recv() {
            if let Job::Store(store) = job {
                let _ = store.answer.send(outcome);
            }
        }
    });
    Spool { jobs, stock: Arc::new(Stock::new(Vec::new(), 0, 0, 0)), figures: Figures::register() }
}

/// A spool whose disk never answers.
#[cfg(test)]
pub(crate) fn silent() -> Spool {
    let (jobs, queue) = mpsc::channel(WAITING);
    // Never dropped: whoever waits, waits.
    std::mem::forget(queue);
    Spool { jobs, stock: Arc::new(Stock::new(Vec::new(), 0, 0, 0)), figures: Figures::register() }
}

#[cfg(test)]
pub(crate) mod tests;
