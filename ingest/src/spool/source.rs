//! Webhooks out of the spool, in the order in which they were stored; and the end of the
//! segments that nothing is left in.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use contract::envelope::Envelope;
use time::OffsetDateTime;

use super::{
    directory::{Directory, Name},
    frame::{self, Found},
    record,
    stock::{Stock, Stretch},
};
use crate::figures::Figures;

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
}

impl Source {
    pub(super) fn new(directory: Arc<Directory>, stock: Arc<Stock>, figures: Figures) -> Self {
        let (place, read, begun) = ((0, 0), VecDeque::new(), BTreeMap::new());
        Self { directory, stock, figures, place, read, begun }
    }

    /// Waits until there may be more than there was.
    pub(crate) async fn changed(&self) {
        self.stock.changed().await;
    }

    /// The next webhook, if there is one now.
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
            let stretch = self.stock.after(self.place)?;
            self.place = (stretch.name.number, stretch.to);
            self.begun.entry(stretch.name).or_default().read_to = stretch.to;
            let path = self.directory.path_of(stretch.name);
            match tokio::task::spawn_blocking(move || read(&path, stretch)).await {
                Ok(Ok(bytes)) => self.take_apart(stretch, &bytes.into()),
                Ok(Err(error)) => self.found_damage(stretch.name, stretch.from, &error.to_string()),
                Err(error) => self.found_damage(stretch.name, stretch.from, &error.to_string()),
            }
        }
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
            .filter(|(name, begun)| self.stock.retire(**name, begun.read_to))
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

fn read(path: &Path, stretch: Stretch) -> io::Result<Vec<u8>> {
    let length = usize::try_from(stretch.to - stretch.from).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    File::open(path)?.read_exact_at(&mut bytes, stretch.from)?;
    Ok(bytes)
}
