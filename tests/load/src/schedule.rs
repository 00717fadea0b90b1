//! When each request is meant to be sent. An answer's time counts from there, however late the request leaves: a
//! server that stalls is charged for every request that it kept waiting, and not for the one that it held.

use std::time::Duration;

/// Requests at a steady rate. Times count from the start of the load.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    rate: f64,
}

impl Schedule {
    /// So many a second.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { rate }
    }

    /// When the request of this number, counted from 0, is meant to be sent.
    #[must_use]
    pub fn intended(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many are meant to have been sent by then.
    #[must_use]
    pub fn due(&self, elapsed: Duration) -> u64 {
        // The first is due at once.
        (elapsed.as_secs_f64() * self.rate) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_what_was_meant_by_then() {
        for rate in [0.7, 320.0, 3_300.0, 40_000.0] {
            let schedule = Schedule::new(rate);
            for number in [0, 1, 2, 999, 123_456] {
                let at = schedule.intended(number) + Duration::from_nanos(10);
                assert_eq!(schedule.due(at), number + 1, "{rate} {number}");
            }
            assert_eq!(schedule.due(Duration::ZERO), 1);
        }
    }

    #[test]
    fn rates_are_kept_over_a_long_time() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Schedule::new(3_300.0).due(hour), 3_300 * 3600 + 1);
    }
}
