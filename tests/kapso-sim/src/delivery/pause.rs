//! Kapso's automatic pause, by the numbers that third parties report.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::clock::Scale;

/// The window over which failures count.
const WINDOW: Duration = Duration::from_mins(15);
/// Deliveries below which nothing is concluded.
const ENOUGH: usize = 20;
/// Failures below which nothing is concluded.
const FAILURES: usize = 10;
/// Failures in a hundred deliveries at which a webhook is paused.
const PERCENT: usize = 85;

/// Pauses a webhook that fails too much; only a person resumes it.
#[derive(Debug)]
pub(crate) struct Breaker {
    enabled: bool,
    open: bool,
    window: Duration,
    recent: VecDeque<(Instant, bool)>,
}

impl Breaker {
    pub(crate) fn new(enabled: bool, scale: Scale) -> Self {
        Self { enabled, open: false, window: scale.of(WINDOW), recent: VecDeque::new() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Pauses by hand, or resumes; either way what was counted is forgotten.
    pub(crate) fn set(&mut self, open: bool) {
        self.open = open;
        self.recent.clear();
    }

    /// Counts an attempt; whether that was one too many.
    pub(crate) fn count(&mut self, delivered: bool, now: Instant) -> bool {
        if !self.enabled {
            return false;
        }
        self.recent.push_back((now, delivered));
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > self.window) {
            self.recent.pop_front();
        }
        let all = self.recent.len();
        let failed = self.recent.iter().filter(|(_, delivered)| !delivered).count();
        if !self.open && all >= ENOUGH && failed >= FAILURES && failed * 100 >= all * PERCENT {
            tracing::warn!(deliveries = all, failures = failed, "webhook paused: it failed too much");
            self.open = true;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcomes: impl Iterator<Item = bool>) -> bool {
        let mut breaker = Breaker::new(true, Scale::new(1.0));
        let now = Instant::now();
        for delivered in outcomes {
            breaker.count(delivered, now);
        }
        breaker.is_open()
    }

    #[test]
    fn pauses_at_85_percent_of_20() {
        assert!(!after((0..19).map(|_| false)));
        assert!(after((0..20).map(|at| at < 3)));
        assert!(!after((0..20).map(|at| at < 4)));
    }

    #[test]
    fn forgets_what_is_old() {
        let mut breaker = Breaker::new(true, Scale::new(1.0));
        let start = Instant::now();
        for _ in 0..19 {
            breaker.count(false, start);
        }
        breaker.count(false, start + WINDOW + Duration::from_secs(1));
        assert!(!breaker.is_open());
    }

    #[test]
    fn is_off_unless_asked_for() {
        let mut breaker = Breaker::new(false, Scale::new(1.0));
        assert!(!(0..99).any(|_| breaker.count(false, Instant::now())));
        assert!(!breaker.is_open());
        breaker.set(true);
        assert!(breaker.is_open());
    }
}
