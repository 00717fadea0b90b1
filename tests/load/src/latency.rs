//! How long answers took, as a histogram of three significant digits.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest time that is told apart from longer ones, in microseconds.
const LONGEST_US: u64 = 120_000_000;

/// Beyond this an answer is counted as late.
const LATE: Duration = Duration::from_millis(100);

/// Times as they come.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    // A histogram counts by its buckets, whose bounds are elsewhere.
    late: u64,
}

/// What is told of them, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// 99 % are no longer than this.
    pub p99: f64,
    /// 99.9 % are no longer than this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// How many took more than 100 ms.
    pub late: u64,
}

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    ///
    /// Never in practice: the bounds are fixed.
    pub fn new() -> Result<Self> {
        Ok(Self { histogram: Histogram::new_with_bounds(1, LONGEST_US, 3)?, late: 0 })
    }

    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.histogram.saturating_record(us.max(1));
        self.late += u64::from(took > LATE);
    }

    /// What is told of them.
    #[must_use]
    pub fn summary(&self) -> Latency {
        let ms = |quantile| self.histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Latency {
            count: self.histogram.len(),
            p50: ms(0.5),
            p99: ms(0.99),
            p999: ms(0.999),
            max: self.histogram.max() as f64 / 1000.0,
            late: self.late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_times() -> Result<()> {
        let mut latencies = Latencies::new()?;
        (1..=1000).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let told = latencies.summary();
        assert_eq!((told.count, told.late), (1000, 900));
        for (is, should) in [(told.p50, 500.0), (told.p99, 990.0), (told.p999, 999.0), (told.max, 1000.0)] {
            assert!((is - should).abs() <= should / 500.0, "{is} {should}");
        }
        Ok(())
    }
}
