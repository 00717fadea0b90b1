//! The thread that stores webhooks: as many as wait are written at once and synced once.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use contract::nag::Nag;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::{
    NotStored,
    directory::{Directory, Name, is_full},
    frame,
    stock::Stock,
};

/// A group is closed at so many webhooks, or bytes: what one sync costs is spread enough then.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// A segment is closed at so many bytes. A restart drains a segment from its beginning: the
/// smaller they are, the less comes twice; the larger, the seldomer one is begun.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// What the thread is asked for.
pub(super) enum Job {
    /// To store a webhook.
    Store(Store),
    /// To see whether a disk that failed works again.
    TryOut,
}

/// A webhook to be stored, and who waits for it.
pub(super) struct Store {
    pub(super) frame: Vec<u8>,
    pub(super) received_at: OffsetDateTime,
    pub(super) answer: oneshot::Sender<Result<(), NotStored>>,
}

impl Store {
    fn answer(self, outcome: Result<(), NotStored>) {
        // Nobody listens when the request is gone or past its deadline.
        let _ = self.answer.send(outcome);
    }
}

/// The thread's own.
pub(super) struct Writer {
    directory: Arc<Directory>,
    stock: Arc<Stock>,
    active: Option<(Name, File)>,
    nag: Nag,
}

impl Writer {
    pub(super) fn new(directory: Arc<Directory>, stock: Arc<Stock>) -> Self {
        Self { directory, stock, active: None, nag: Nag::default() }
    }

    /// Works until nobody is left who could ask.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let (mut group, mut bytes, mut try_out) = (Vec::new(), 0, false);
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::TryOut => try_out = true,
                    Job::Store(store) => {
                        bytes += store.frame.len();
                        group.push(store);
                    }
                }
                next = if group.len() < GROUP && bytes < GROUP_BYTES { jobs.try_recv().ok() } else { None };
            }
            // Webhooks show as well whether the disk works, and have somebody who waits.
            if try_out && group.is_empty() {
                self.try_out();
            }
            self.store(group);
        }
    }

    /// Stores what there is room for, and answers all.
    fn store(&mut self, group: Vec<Store>) {
        let mut room = self.stock.room();
        let mut fitting = Vec::with_capacity(group.len());
        for store in group {
            let length = store.frame.len() as u64;
            if store.answer.is_closed() {
                // The request is gone: storing would help nobody.
            } else if length <= room {
                room -= length;
                fitting.push(store);
            } else {
                self.stock.refused(length);
                store.answer(Err(NotStored::Full));
            }
        }
        if fitting.is_empty() {
            return;
        }
        self.stock.busy();
        let outcome = self.append(&mut fitting);
        fitting.into_iter().for_each(|store| store.answer(outcome));
    }

    fn append(&mut self, group: &mut [Store]) -> Result<(), NotStored> {
        let (name, mut file) = self.hold().map_err(|error| self.failed(None, &error))?;
        let mut bytes = Vec::with_capacity(group.iter().map(|store| store.frame.len()).sum());
        for store in &mut *group {
            frame::stamp(&mut store.frame, name.mark);
            bytes.append(&mut store.frame);
        }
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            // What the file's end is now, nobody knows, and a second sync could claim what the
            // first one lost: the file is left at what it was, and the next group gets another.
            let why = self.failed(Some(name), &error);
            self.leave(name, &file);
            return Err(why);
        }
        let oldest = group.iter().map(|store| store.received_at).min();
        let count = group.len() as u64;
        let size =
            self.stock.stored(name, bytes.len() as u64, count, oldest.unwrap_or(OffsetDateTime::UNIX_EPOCH));
        if size < SEGMENT_BYTES {
            self.active = Some((name, file));
        }
        Ok(())
    }

    /// The segment that the next group goes to, held in the account.
    fn hold(&mut self) -> io::Result<(Name, File)> {
        if let Some((name, file)) = self.active.take()
            && self.stock.hold(name)
        {
            return Ok((name, file));
        }
        let name = self.stock.next_name();
        let file = self.directory.create(name)?;
        self.stock.began(name);
        Ok((name, file))
    }

    fn leave(&self, name: Name, file: &File) {
        let left = match self.stock.release(name) {
            0 => self.directory.remove(name),
            good => file.set_len(good),
        };
        if let Err(error) = left {
            // The next start reads on to the end: what it finds there was answered 503, and is harmless.
            tracing::info!(%error, file = %name, "the end of a segment can't be cut off");
        }
    }

    fn failed(&mut self, name: Option<Name>, error: &io::Error) -> NotStored {
        let why = if is_full(error) { NotStored::Full } else { NotStored::Failed };
        self.stock.failed(why);
        if self.nag.is_due(&error.to_string(), Instant::now()) {
            tracing::error!(%error, file = name.map(tracing::field::display), "the spool can't be written");
        }
        why
    }

    fn try_out(&mut self) {
        self.stock.busy();
        match self.directory.try_out() {
            Ok(()) => self.stock.recovered(),
            Err(error) => {
                self.failed(None, &error);
            }
        }
    }
}
