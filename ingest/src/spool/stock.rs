//! What is in the spool: the one account that writer, drainer and whoever asks share.
//!
//! It is kept in memory, and its lock is never held while the disk is asked for anything.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::sync::Notify;

use super::{NotStored, directory::Name};

/// A group that has not been stored after this long: the disk hangs, and nobody else waits for it.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// A segment as far as it is known to be good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// How many of its bytes are whole frames that were synced.
    pub(super) bytes: u64,
    /// How many webhooks of it are not confirmed by the broker.
    pub(super) webhooks: u64,
    /// When the oldest of those was received, or one that is older.
    pub(super) oldest: OffsetDateTime,
    /// The writer is appending to it now.
    pub(super) held: bool,
}

/// Bytes of a segment that are to be drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) name: Name,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// How full the spool is, and whether it takes webhooks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) webhooks: u64,
    pub(super) bytes: u64,
    pub(super) max_bytes: u64,
    pub(super) oldest: Option<OffsetDateTime>,
    pub(super) trouble: Option<NotStored>,
}

#[derive(Debug)]
struct Account {
    segments: VecDeque<Segment>,
    /// Bytes of files that are in the directory and in no segment here.
    other_bytes: u64,
    next_number: u64,
    /// Since when the disk has been storing a group.
    busy_since: Option<Instant>,
    /// Why the last group was not stored.
    failed: Option<NotStored>,
    /// How long the last webhook was that there was no room for.
    refused: u64,
}

/// The account, to be shared.
#[derive(Debug)]
pub(super) struct Stock {
    account: Mutex<Account>,
    max_bytes: u64,
    changed: Notify,
}

impl Stock {
    /// `last` is the number of the last file that is in the directory, be it readable or not: a place is found by
    /// numbers, and two files of one number would be taken for one.
    pub(super) fn new(segments: Vec<Segment>, last: u64, other_bytes: u64, max_bytes: u64) -> Self {
        let account = Account {
            segments: segments.into(),
            other_bytes,
            next_number: last + 1,
            busy_since: None,
            failed: None,
            refused: 0,
        };
        Self { account: Mutex::new(account), max_bytes, changed: Notify::new() }
    }

    /// Waits until something has been stored since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    // --- the handlers' part -----------------------------------------------------------------

    /// Whether the disk has not come back from a group for long.
    pub(super) fn is_hanging(&self) -> bool {
        self.lock().busy_since.is_some_and(|since| since.elapsed() >= HANGS_AFTER)
    }

    pub(super) fn level(&self) -> Level {
        let hangs = self.is_hanging().then_some(NotStored::Late);
        let account = self.lock();
        let bytes = account.bytes();
        let full = self.max_bytes.saturating_sub(bytes) < account.refused.max(1);
        Level {
            webhooks: account.segments.iter().map(|segment| segment.webhooks).sum(),
            bytes,
            max_bytes: self.max_bytes,
            oldest: account.segments.iter().filter(|s| s.webhooks > 0).map(|segment| segment.oldest).min(),
            trouble: hangs.or(account.failed).or(full.then_some(NotStored::Full)),
        }
    }

    // --- the writer's part ------------------------------------------------------------------

    /// How many bytes may still be stored.
    pub(super) fn room(&self) -> u64 {
        self.max_bytes.saturating_sub(self.lock().bytes())
    }

    /// A name for a segment that is to be begun.
    pub(super) fn next_name(&self) -> Name {
        let mut account = self.lock();
        account.next_number += 1;
        Name::new(account.next_number - 1)
    }

    /// Notes a segment that was begun, and holds it.
    pub(super) fn began(&self, name: Name) {
        let oldest = OffsetDateTime::UNIX_EPOCH;
        self.lock().segments.push_back(Segment { name, bytes: 0, webhooks: 0, oldest, held: true });
    }

    /// Holds a segment while a group is appended to it: so long, it is not given up. Says
    /// whether it is still there.
    pub(super) fn hold(&self, name: Name) -> bool {
        let mut account = self.lock();
        account.segment(name).map(|segment| segment.held = true).is_some()
    }

    /// There was no room for so many bytes.
    pub(super) fn refused(&self, bytes: u64) {
        self.lock().refused = bytes;
    }

    /// The disk is asked for something from now on.
    pub(super) fn busy(&self) {
        self.lock().busy_since = Some(Instant::now());
    }

    /// A group is on the disk for good. Says how large its segment is now.
    pub(super) fn stored(&self, name: Name, bytes: u64, webhooks: u64, oldest: OffsetDateTime) -> u64 {
        let mut account = self.lock();
        account.rest(None);
        let size = account.segment(name).map_or(0, |segment| {
            if segment.webhooks == 0 || oldest < segment.oldest {
                segment.oldest = oldest;
            }
            segment.held = false;
            segment.bytes += bytes;
            segment.webhooks += webhooks;
            segment.bytes
        });
        drop(account);
        self.changed.notify_one();
        size
    }

    /// A group is not stored, or the disk does not work yet.
    pub(super) fn failed(&self, why: NotStored) {
        self.lock().rest(Some(why));
    }

    /// The disk has shown that it can be written.
    pub(super) fn recovered(&self) {
        self.lock().rest(None);
    }

    /// Holds a segment no longer after a group that failed. Says how many bytes of it are
    /// good; when there are none, it is forgotten.
    pub(super) fn release(&self, name: Name) -> u64 {
        let mut account = self.lock();
        let good = account.segment(name).map_or(0, |segment| {
            segment.held = false;
            segment.bytes
        });
        if good == 0 {
            account.segments.retain(|segment| segment.name != name);
        }
        drop(account);
        self.changed.notify_one();
        good
    }

    // --- the drainer's part -----------------------------------------------------------------

    /// What comes after a place, given by a segment's number and an offset: the rest of that
    /// segment, or else the next one.
    pub(super) fn after(&self, (number, offset): (u64, u64)) -> Option<Stretch> {
        let account = self.lock();
        account.segments.iter().find_map(|segment| {
            let from = match segment.name.number.cmp(&number) {
                std::cmp::Ordering::Less => return None,
                std::cmp::Ordering::Equal => offset,
                std::cmp::Ordering::Greater => 0,
            };
            (from < segment.bytes).then_some(Stretch { name: segment.name, from, to: segment.bytes })
        })
    }

    /// One webhook of a segment is confirmed; of those that are left, this is the oldest, if known.
    pub(super) fn confirmed(&self, name: Name, oldest: Option<OffsetDateTime>) {
        if let Some(segment) = self.lock().segment(name) {
            segment.webhooks = segment.webhooks.saturating_sub(1);
            segment.oldest = oldest.unwrap_or(segment.oldest);
        }
    }

    /// Gives up a segment that has been drained up to `offset`, if nothing has been or is being
    /// added, and every webhook of it is confirmed; of a damaged one some can't be. It counts as
    /// `other_bytes` until its file is gone (see [`Stock::freed`]).
    pub(super) fn retire(&self, name: Name, offset: u64, damaged: bool) -> bool {
        let mut account = self.lock();
        let done = account.segment(name).is_some_and(|segment| {
            !segment.held && segment.bytes == offset && (damaged || segment.webhooks == 0)
        });
        if done {
            account.segments.retain(|segment| segment.name != name);
            account.other_bytes += offset;
        }
        done
    }

    /// The file of a segment that was given up is gone.
    pub(super) fn freed(&self, bytes: u64) {
        let mut account = self.lock();
        account.other_bytes = account.other_bytes.saturating_sub(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn segment(&mut self, name: Name) -> Option<&mut Segment> {
        self.segments.iter_mut().rfind(|segment| segment.name == name)
    }

    fn bytes(&self) -> u64 {
        self.other_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    fn rest(&mut self, failed: Option<NotStored>) {
        self.busy_since = None;
        self.failed = failed;
    }
}
