//! What a check found.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::listed::{Listed, Skip};
use crate::event::Direction;

/// What a check found, so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many questions Kapso was asked.
    pub requests: u64,
    /// How many messages of the window it listed.
    pub listed: u64,
    /// How many of them we have.
    pub known: u64,
    /// How many never reached us.
    pub missing: u64,
    /// How many of the missing a contact wrote.
    pub missing_inbound: u64,
    /// How many we have and do not know all of: they got further, or say something that no webhook told.
    pub behind: u64,
    /// How many missing ones have been stored.
    pub stored: u64,
    /// How many of those that were behind have been brought forward.
    pub advanced: u64,
    /// How many items were left alone, by why.
    pub skipped: BTreeMap<Skip, u64>,
    /// When the oldest missing one was written.
    pub oldest: Option<OffsetDateTime>,
    /// When the youngest missing one was written.
    pub newest: Option<OffsetDateTime>,
    /// The missing and the behind by name, where they are to be listed.
    pub found: Option<Vec<Found>>,
}

/// A message that we lack, or do not know all of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it lacks.
    pub what: What,
    /// Its name: WhatsApp's, where listed.
    pub id: String,
    /// When it was written.
    pub at: OffsetDateTime,
    /// Who wrote it.
    pub direction: Option<Direction>,
}

/// What we lack of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All of it.
    Message,
    /// What it says: a webhook told of it and left its text out.
    Text,
    /// How far it got.
    Status,
}

impl What {
    /// For a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Text => "text",
            Self::Status => "status",
        }
    }
}

impl Report {
    /// An empty one that will list what is found.
    #[must_use]
    pub fn listing() -> Self {
        Self { found: Some(Vec::new()), ..Self::default() }
    }

    /// How many items were left alone.
    #[must_use]
    pub fn left_alone(&self) -> u64 {
        self.skipped.values().sum()
    }

    pub(super) fn skip(&mut self, why: Skip) {
        *self.skipped.entry(why).or_default() += 1;
    }

    pub(super) fn lacks(&mut self, what: What, item: &Listed) {
        match what {
            What::Text | What::Status => self.behind += 1,
            What::Message => {
                self.missing += 1;
                self.missing_inbound += u64::from(item.direction == Some(Direction::Inbound));
                self.oldest = Some(self.oldest.map_or(item.at, |oldest| oldest.min(item.at)));
                self.newest = Some(self.newest.map_or(item.at, |newest| newest.max(item.at)));
            }
        }
        if let (Some(found), Some(id)) = (&mut self.found, item.names.first()) {
            found.push(Found { what, id: id.clone(), at: item.at, direction: item.direction });
        }
    }

    pub(super) fn kept(&mut self, what: What) {
        match what {
            What::Message => self.stored += 1,
            What::Text | What::Status => self.advanced += 1,
        }
    }
}
