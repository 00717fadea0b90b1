//! Time as Kapso writes it, and the scale that lets a test live through minutes in milliseconds.

use std::time::Duration;

use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

const SECONDS: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MICROSECONDS: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// What every documented duration is multiplied by: 1 is real time, 0.01 a hundred times faster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(f64);

impl Scale {
    /// A factor that is no finite, non-negative number counts as real time.
    pub(crate) fn new(factor: f64) -> Self {
        Self(if factor.is_finite() && factor >= 0.0 { factor } else { 1.0 })
    }

    pub(crate) fn of(self, documented: Duration) -> Duration {
        documented.mul_f64(self.0)
    }
}

/// Now, in UTC.
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// ISO-8601 in UTC with whole seconds, as Kapso writes most of its times.
#[must_use]
pub fn iso(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(SECONDS).unwrap_or_default()
}

/// ISO-8601 in UTC with microseconds, as in Kapso's `conversation.kapso`.
pub(crate) fn iso_micros(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(MICROSECONDS).unwrap_or_default()
}

/// Unix seconds as a string, as Meta writes a message's time.
pub(crate) fn unix(at: OffsetDateTime) -> String {
    at.unix_timestamp().to_string()
}

/// Milliseconds of the Unix epoch.
pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A time as Kapso's listings take it.
pub(crate) fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times_as_kapso_does() {
        let at = time::macros::datetime!(2025-10-26 10:30:00.5 UTC);
        assert_eq!(iso(at), "2025-10-26T10:30:00Z");
        assert_eq!(iso_micros(at), "2025-10-26T10:30:00.500000Z");
        assert_eq!(unix(at), "1761474600");
    }

    #[test]
    fn scales() {
        assert_eq!(Scale::new(0.01).of(Duration::from_secs(10)), Duration::from_millis(100));
        assert_eq!(Scale::new(f64::NAN).of(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
