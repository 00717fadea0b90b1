//! What becomes of a reply whose outcome nobody saw, given what is known of it. Pure.

use std::time::Duration;

use time::OffsetDateTime;

/// How long a reply in doubt is looked for, and the later effects of its lane wait for it.
/// Room for both listings and for several that fail; after that the person who wrote has waited
/// long enough for the replies behind it, and a reply out of its order is worse than none.
pub(in crate::effects) const HORIZON: Duration = Duration::from_secs(600);

/// What is known of a reply that has no message yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Whether it is done, and only its message is not known.
    pub(super) done: bool,
    /// Whether it is to be sent again already; what shows up meanwhile still settles it.
    pub(super) pending: bool,
    /// No request of ours was under way after that.
    pub(super) deadline: OffsetDateTime,
    /// When the first whole listing was asked for that lacks it.
    pub(super) absent_at: Option<OffsetDateTime>,
    /// When the last one was.
    pub(super) absent_again_at: Option<OffsetDateTime>,
    /// When it became unknown.
    pub(super) settled_at: Option<OffsetDateTime>,
    /// It is too old after that.
    pub(super) expires_at: OffsetDateTime,
    /// Whether it was given up before.
    pub(super) given_up: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It went out.
    Done,
    /// It did not: it may be sent again.
    Again,
    /// It stays unknown, and says so.
    GiveUp,
    /// Nothing yet.
    Wait,
}

impl Doubt {
    /// Until when it is looked for, and its lane waits: no longer than the reply is of use.
    fn until(&self) -> OffsetDateTime {
        let horizon = self.settled_at.map(|at| at.saturating_add(long(HORIZON)));
        horizon.map_or(self.expires_at, |horizon| horizon.min(self.expires_at))
    }

    /// Decides. Evidence counts at any time; `patience` is how long after our deadline a message
    /// can still turn up in a listing.
    pub(super) fn verdict(&self, evidence: bool, patience: Duration, now: OffsetDateTime) -> Verdict {
        if evidence {
            Verdict::Done
        } else if self.done || self.pending || self.given_up {
            Verdict::Wait
        } else if now >= self.until() {
            Verdict::GiveUp
        } else if self.is_absent(patience) {
            Verdict::Again
        } else {
            Verdict::Wait
        }
    }

    /// Whether two whole listings lack it, far enough behind the request and from each other.
    fn is_absent(&self, patience: Duration) -> bool {
        let (Some(first), Some(last)) = (self.absent_at, self.absent_again_at) else { return false };
        first >= self.deadline && last >= second_listing(self.deadline, first, patience)
    }
}

/// When to ask again after a listing, asked for at `asked_at`, that lacks a reply. `absent_at`: when the first such
/// listing was asked for; none where this is the first.
pub(super) fn next_listing_at(
    deadline: OffsetDateTime,
    absent_at: Option<OffsetDateTime>,
    asked_at: OffsetDateTime,
    patience: Duration,
) -> OffsetDateTime {
    let second = second_listing(deadline, absent_at.unwrap_or(asked_at), patience);
    if asked_at < second { second } else { asked_at + apart(patience) }
}

/// The earliest time of the listing that counts as the second.
fn second_listing(deadline: OffsetDateTime, first: OffsetDateTime, patience: Duration) -> OffsetDateTime {
    (deadline + patience).max(first + apart(patience))
}

/// How far the two listings are apart at the least: one moment of trouble at Kapso must not
/// count twice.
fn apart(patience: Duration) -> Duration {
    patience / 4
}

/// The pause after so many listings in a row that proved nothing.
pub(super) fn pause_after(failures: i32) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(4);
    Duration::from_secs(5).saturating_mul(1 << doublings).min(Duration::from_secs(60))
}

/// As the clock's crate has it.
fn long(duration: Duration) -> time::Duration {
    time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)
}

#[cfg(test)]
mod tests {
    use time::{Duration as Long, macros::datetime};

    use super::*;

    const BEGAN: OffsetDateTime = datetime!(2026-11-25 10:00 UTC);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> OffsetDateTime {
        BEGAN + Long::seconds(seconds)
    }

    fn doubt(absent: Option<i64>, again: Option<i64>) -> Doubt {
        Doubt {
            done: false,
            pending: false,
            deadline: at(10),
            absent_at: absent.map(at),
            absent_again_at: again.map(at),
            settled_at: Some(at(1)),
            expires_at: at(900),
            given_up: false,
        }
    }

    fn verdict(absent: Option<i64>, again: Option<i64>, now: i64) -> Verdict {
        doubt(absent, again).verdict(false, PATIENCE, at(now))
    }

    #[test]
    fn evidence_settles_it_at_any_time() {
        let given_up = Doubt { given_up: true, ..doubt(None, None) };
        let pending = Doubt { pending: true, ..doubt(Some(11), Some(70)) };
        let done = Doubt { done: true, ..doubt(None, None) };
        for doubt in [doubt(None, None), doubt(Some(11), Some(70)), given_up, pending, done] {
            assert_eq!(doubt.verdict(true, PATIENCE, at(5000)), Verdict::Done, "{doubt:?}");
        }
        for doubt in [given_up, pending, done] {
            assert_eq!(doubt.verdict(false, PATIENCE, at(5000)), Verdict::Wait, "{doubt:?}");
        }
    }

    #[test]
    fn absence_counts_in_two_listings_the_last_a_minute_behind_the_deadline() {
        assert_eq!(verdict(None, None, 80), Verdict::Wait);
        assert_eq!(verdict(Some(11), None, 80), Verdict::Wait);
        assert_eq!(verdict(Some(75), None, 80), Verdict::Wait, "one is not enough, however late");
        assert_eq!(verdict(Some(11), Some(69), 80), Verdict::Wait, "too early");
        assert_eq!(verdict(Some(9), Some(70), 80), Verdict::Wait, "the first was before our deadline");
        assert_eq!(verdict(Some(70), Some(84), 90), Verdict::Wait, "too near to each other");
        assert_eq!(verdict(Some(11), Some(70), 80), Verdict::Again);
        assert_eq!(verdict(Some(70), Some(85), 90), Verdict::Again);
    }

    #[test]
    fn it_is_given_up_at_the_horizon_or_when_it_is_too_old() {
        assert_eq!(verdict(Some(11), Some(70), 600), Verdict::Again);
        assert_eq!(verdict(Some(11), Some(70), 601), Verdict::GiveUp);
        let young = Doubt { expires_at: at(100), ..doubt(Some(11), Some(70)) };
        assert_eq!(young.verdict(false, PATIENCE, at(99)), Verdict::Again);
        assert_eq!(young.verdict(false, PATIENCE, at(100)), Verdict::GiveUp);
    }

    #[test]
    fn the_next_listing_is_asked_for_when_it_can_count() {
        let next = |absent: Option<i64>, asked| next_listing_at(at(10), absent.map(at), at(asked), PATIENCE);
        assert_eq!(next(None, 11), at(70));
        assert_eq!(next(Some(11), 30), at(70), "one of its neighbours' did not count");
        assert_eq!(next(None, 100), at(115));
        assert_eq!(next(Some(11), 70), at(85));
        assert_eq!([1, 2, 5, 99].map(|failures| pause_after(failures).as_secs()), [5, 10, 60, 60]);
    }
}
