//! How fast the spool is drained: one webhook at a time while the broker is in question, more
//! and more while it confirms.

use std::time::Duration;

use tokio::time::Instant;

use crate::publish::Unconfirmed;

/// The most webhooks out of the spool that wait for their confirms at once: a small part of
/// what the publisher takes, so that fresh ones find room.
pub(super) const WINDOW: usize = 64;

/// A confirm that takes longer than this is none in good time.
const GOOD_TIME: Duration = Duration::from_millis(500);

/// So many confirms in good time, one after the other, show that the broker is well; or fewer,
/// when there are no more to be had.
const PROVEN: u32 = 16;

/// A publisher that says at once that it has no broker is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// The pause after a failure that took the broker's time; doubled with each, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pace. Pure: it is told what happens, and when.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    well: u32,
    pause: Duration,
    resume_at: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { limit: 1, well: 0, pause: FIRST_PAUSE, resume_at: None }
    }

    /// How many may be under way now.
    pub(super) fn limit(&self, now: Instant) -> usize {
        if self.resume_at.is_some_and(|at| now < at) { 0 } else { self.limit }
    }

    /// When a pause ends, if there is one.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        self.resume_at
    }

    pub(super) fn confirmed(&mut self, took: Duration) {
        self.limit = (self.limit * 2).min(WINDOW);
        self.well = if took <= GOOD_TIME { self.well + 1 } else { 0 };
        (self.pause, self.resume_at) = (FIRST_PAUSE, None);
    }

    pub(super) fn failed(&mut self, why: Unconfirmed, now: Instant) {
        (self.limit, self.well) = (1, 0);
        // A whole window fails together: that is one failure.
        if self.resume_at.is_some_and(|at| now < at) {
            return;
        }
        let pause = match why {
            Unconfirmed::Away | Unconfirmed::Blocked => ASK_AGAIN,
            Unconfirmed::Late | Unconfirmed::Refused | Unconfirmed::Lost => {
                let longer = (self.pause * 2).min(LONGEST_PAUSE);
                std::mem::replace(&mut self.pause, longer)
            }
        };
        self.resume_at = Some(now + pause);
    }

    /// Whether the broker has shown that it is well; `all` says that there is nothing left to
    /// try it with.
    pub(super) fn is_well(&self, all: bool) -> bool {
        self.well >= PROVEN || (all && self.well > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn it_grows_with_confirms_and_begins_again_after_a_failure() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        let limits: Vec<_> = (0..8)
            .map(|_| {
                pace.confirmed(SOON);
                pace.limit(now)
            })
            .collect();
        assert_eq!(limits, [2, 4, 8, 16, 32, 64, 64, 64]);
        pace.failed(Unconfirmed::Lost, now);
        assert_eq!(pace.limit(now), 0);
        assert_eq!(pace.limit(now + FIRST_PAUSE), 1);
    }

    #[test]
    fn pauses_grow_with_failures_and_not_with_an_outage() {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        let mut pause = |pace: &mut Pace, why| {
            pace.failed(why, now);
            // The rest of the window.
            pace.failed(why, now);
            let pause = pace.resumes_at().map(|at| at - now).unwrap_or_default();
            now += pause;
            pause.as_millis()
        };
        let refused = [0; 6].map(|_| pause(&mut pace, Unconfirmed::Refused));
        assert_eq!(refused, [250, 500, 1000, 2000, 4000, 5000]);
        assert_eq!([0; 2].map(|_| pause(&mut pace, Unconfirmed::Away)), [250, 250]);
        pace.confirmed(SOON);
        assert_eq!(pause(&mut pace, Unconfirmed::Lost), 250);
    }

    #[test]
    fn the_broker_is_well_after_enough_confirms_in_good_time() {
        let mut pace = Pace::new();
        assert!(!pace.is_well(true));
        pace.confirmed(SOON);
        assert!(pace.is_well(true) && !pace.is_well(false));
        pace.confirmed(GOOD_TIME * 2);
        assert!(!pace.is_well(true));
        for _ in 0..PROVEN {
            pace.confirmed(SOON);
        }
        assert!(pace.is_well(false));
        pace.failed(Unconfirmed::Away, Instant::now());
        assert!(!pace.is_well(true));
    }
}
