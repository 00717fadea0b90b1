//! Webhooks out of the spool, in the order in which they were stored; and the end of the
//! segments that nothing is left in.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use contract::{envelope::Envelope, nag::Nag};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};

use super::{
    directory::{Directory, Name},
    frame::{self, Found},
    read, record,
    stock::{Stock, Stretch},
};
use crate::figures::Figures;

/// After this long what could not be read is tried again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So often the disk may fail in the same stretch before what it can't read counts as damage: a trouble that passes
/// must not cost webhooks, and a bad sector must not hold up those behind it.
const FAILURES: u32 = 5;

/// Where a webhook is in the spool. Places are in the order in which webhooks were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    segment: Name,
    offset: u64,
}

/// A segment that has been taken from.
#[derive(Default)]
struct Begun {
    read_to: u64,
    /// The webhooks that were given out and are not done, by offset: when they were received.
    open: BTreeMap<u64, OffsetDateTime>,
    /// Some of its bytes can't be read: it is kept.
    damaged: bool,
}

/// The reading end of the spool.
pub(crate) struct Source {
    directory: Arc<Directory>,
    stock: Arc<Stock>,
    figures: Figures,
    place: (u64, u64),
    read: VecDeque<(Place, Bytes)>,
    begun: BTreeMap<Name, Begun>,
    /// How often the next stretch could not be read, and when it is tried again.
    failures: u32,
    again_at: Option<Instant>,
    nag: Nag,
}

impl Source {
    pub(super) fn new(directory: Arc<Directory>, stock: Arc<Stock>, figures: Figures) -> Self {
        let (place, read, begun) = ((0, 0), VecDeque::new(), BTreeMap::new());
        let nag = Nag::default();
        Self { directory, stock, figures, place, read, begun, failures: 0, again_at: None, nag }
    }

    /// Waits until there may be more than there was.
    pub(crate) async fn changed(&self) {
        match self.again_at {
            None => self.stock.changed().await,
            Some(at) => sleep_until(at).await,
        }
    }

    /// The next webhook, if there is one now. Nothing is lost when this is dropped.
    pub(crate) async fn next(&mut self) -> Option<(Place, Envelope)> {
        loop {
            while let Some((place, bytes)) = self.read.pop_front() {
                match record::read(bytes) {
                    Ok(webhook) => {
                        let begun = self.begun.entry(place.segment).or_default();
                        begun.open.insert(place.offset, webhook.received_at);
                        return Some((place, webhook));
                    }
                    Err(why) => self.found_damage(place.segment, place.offset, &why.to_string()),
                }
            }
            if self.again_at.is_some_and(|at| Instant::now() < at) {
                return None;
            }
            self.again_at = None;
            let stretch = self.stock.after(self.place)?;
            let (path, range) = (self.directory.path_of(stretch.name), stretch.from..stretch.to);
            let read = if self.failures < FAILURES { read::whole } else { read::readable };
            let read = tokio::task::spawn_blocking(move || read(&path, range)).await;
            let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
            if let Err(error) = &read
                && self.may_pass(error)
            {
                self.again_at = Some(Instant::now() + READ_AGAIN_AFTER);
                if self.nag.is_due("spool", std::time::Instant::now()) {
                    tracing::error!(file = %stretch.name, %error, "the spool can't be read now; trying for ever");
                }
                return None;
            }
            // Only now: a reader that was dropped while the disk was asked has taken nothing.
            self.failures = 0;
            self.place = (stretch.name.number, stretch.to);
            self.begun.entry(stretch.name).or_default().read_to = stretch.to;
            match read {
                Ok(bytes) => self.take_apart(stretch, &bytes.into()),
                Err(error) => self.found_damage(stretch.name, stretch.from, &error.to_string()),
            }
        }
    }

    /// Whether a read that failed may succeed later: unless the file is gone, or the disk can't even open it. What the
    /// system lacks (files, memory) says nothing of the file.
    fn may_pass(&mut self, error: &io::Error) -> bool {
        self.failures += u32::from(read::is_of_the_disk(error));
        error.kind() != io::ErrorKind::NotFound && self.failures <= FAILURES
    }

    /// Says that a webhook is durable elsewhere.
    pub(crate) fn done(&mut self, place: Place) {
        if let Some(begun) = self.begun.get_mut(&place.segment) {
            begun.open.remove(&place.offset);
            self.stock.confirmed(place.segment, begun.open.values().next().copied());
        }
    }

    /// Takes away the segments in which every webhook is done.
    pub(crate) fn tidy(&mut self) {
        let reading = self.read.front().map(|(place, _)| place.segment);
        let ended: Vec<_> = self
            .begun
            .iter()
            .filter(|(name, begun)| begun.open.is_empty() && reading != Some(**name))
            .filter(|(name, begun)| self.stock.retire(**name, begun.read_to, begun.damaged))
            .map(|(name, begun)| (*name, begun.read_to, begun.damaged))
            .collect();
        for (name, bytes, damaged) in ended {
            self.begun.remove(&name);
            let (directory, stock) = (Arc::clone(&self.directory), Arc::clone(&self.stock));
            // Nothing waits for it: what the disk does not take away is drained again by the next start.
            tokio::task::spawn_blocking(move || {
                let gone = if damaged { directory.set_aside(name) } else { directory.remove(name) };
                match gone {
                    // What was set aside still takes its room.
                    Ok(()) if damaged => {}
                    Ok(()) => stock.freed(bytes),
                    // Somebody has removed it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => stock.freed(bytes),
                    Err(error) => tracing::error!(%error, file = %name, "a drained segment can't be removed"),
                }
            });
        }
    }

    fn take_apart(&mut self, stretch: Stretch, bytes: &Bytes) {
        let segment = stretch.name;
        for found in frame::read(bytes, segment.mark) {
            match found {
                Found::Record(range) => {
                    let offset = stretch.from + range.start as u64;
                    self.read.push_back((Place { segment, offset }, bytes.slice(range)));
                }
                Found::Damage(range) | Found::Torn(range) => {
                    let why = format!("{} bytes are not what was written", range.len());
                    self.found_damage(segment, stretch.from + range.start as u64, &why);
                }
            }
        }
    }

    fn found_damage(&mut self, name: Name, offset: u64, why: &str) {
        self.figures.spool_unreadable();
        self.begun.entry(name).or_default().damaged = true;
        tracing::error!(
            file = %name, offset, error = why,
            "a part of the spool can't be read; what else is in the file is drained, and the file is kept as .damaged"
        );
    }
}
