//! The rules by which two values of one column become one. Each is commutative,
//! associative and idempotent, and each has its other half in SQL (`migrations/`).

use time::OffsetDateTime;

use crate::event::Moment;

/// The value of the best-informed source; a tie goes to the greater bytes.
/// Rank 0 is "absent", and then so is the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked {
    pub(super) rank: i16,
    pub(super) value: Option<String>,
}

impl Ranked {
    pub(super) fn new(rank: i16, value: Option<String>) -> Self {
        if value.is_some() { Self { rank, value } } else { Self::default() }
    }

    pub(super) fn join(&mut self, other: Self) {
        greatest(self, other);
    }
}

/// The value with the greatest clock; a tie goes to the greater bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Latest {
    pub(super) clock: Option<i64>,
    pub(super) value: Option<String>,
}

impl Latest {
    pub(super) fn new(at: Moment, value: Option<String>) -> Self {
        Self { clock: value.is_some().then(|| at.clock()), value }
    }

    pub(super) fn join(&mut self, other: Self) {
        greatest(self, other);
    }
}

/// The earliest moment; one that an event names beats one that was noted on arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct First(Option<Moment>);

impl First {
    pub(super) fn at(moment: Moment) -> Self {
        Self(Some(moment))
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some(a), Some(b)) => Some(a.first(b)),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn instant(self) -> Option<OffsetDateTime> {
        self.0.map(|moment| moment.at)
    }

    pub(super) fn timed(self) -> bool {
        self.0.is_some_and(|moment| moment.timed)
    }
}

/// Who a thing is with: a name that events give, and the id that it means now. Other names
/// of the same thing may mean somebody else (until a later event links them, or for ever):
/// the least name is kept, so that it does not matter which of them came first, and when
/// its id changes ([`super::merge`]), the column beside it follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Party {
    pub(super) alias: String,
    pub(super) id: String,
}

/// Keeps the greater of two values; absent is less than anything.
pub(super) fn greatest<T: Ord>(kept: &mut T, other: T) {
    if other > *kept {
        *kept = other;
    }
}

/// Keeps the lesser of two values that are there.
pub(super) fn least<T: Ord>(kept: &mut Option<T>, other: Option<T>) {
    if let Some(other) = other
        && kept.as_ref().is_none_or(|kept| other < *kept)
    {
        *kept = Some(other);
    }
}
