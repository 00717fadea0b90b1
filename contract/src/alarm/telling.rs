//! When the receiver is told of an alarm: once when it is raised, again while it lasts, once
//! when it is over; and again after a failure. Pure.

use std::time::Duration;

use time::OffsetDateTime;

use crate::settings::{Settings, SettingsError};

/// What lasts is told again this often unless configured, in minutes.
const REPEAT_MINUTES: u64 = 60;

/// The first pause after a failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Where the telling of one alarm stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// When the receiver is told next; none: there is nothing to tell.
    pub due: Option<OffsetDateTime>,
    /// Whether it was tried to tell it of this raising: it may have heard of it, even where
    /// that failed.
    pub told: bool,
    /// How often in a row that failed.
    pub failures: u32,
}

impl Telling {
    /// Of an alarm that is raised now.
    #[must_use]
    pub fn raised(now: OffsetDateTime) -> Self {
        Self { due: Some(now), told: false, failures: 0 }
    }

    /// Of one that is over now. What nobody was told of is not told to be over.
    #[must_use]
    pub fn resolved(self, now: OffsetDateTime) -> Self {
        Self { due: self.told.then_some(now), failures: 0, ..self }
    }

    /// After the receiver has taken it; `again` where it is to hear of it once more.
    #[must_use]
    pub fn succeeded(self, now: OffsetDateTime, again: Option<Duration>) -> Self {
        Self { due: again.map(|pause| now + pause), told: true, failures: 0 }
    }

    /// After it has not.
    #[must_use]
    pub fn failed(self, now: OffsetDateTime) -> Self {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        Self { due: Some(now + pause), told: true, failures: self.failures.saturating_add(1) }
    }
}

/// Reads `BUZON_ALERT_REPEAT_MINUTES`: how often what lasts is told again; none: never.
///
/// # Errors
/// When it is malformed.
pub fn repeat(settings: &Settings) -> Result<Option<Duration>, SettingsError> {
    let minutes: u64 =
        settings.parsed("BUZON_ALERT_REPEAT_MINUTES", REPEAT_MINUTES, "a number of minutes; 0 is never")?;
    Ok((minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-25 12:00 UTC);

    fn at(telling: Telling) -> Option<i64> {
        telling.due.map(|due| (due - NOW).whole_seconds())
    }

    #[test]
    fn once_then_again_while_it_lasts_then_once_more() {
        let hour = Some(Duration::from_secs(3600));
        let raised = Telling::raised(NOW);
        assert_eq!(at(raised), Some(0));
        let told = raised.succeeded(NOW, hour);
        assert_eq!((at(told), at(raised.succeeded(NOW, None))), (Some(3600), None));
        let over = told.resolved(NOW);
        assert_eq!((at(over), at(over.succeeded(NOW, None))), (Some(0), None));
    }

    #[test]
    fn what_nobody_was_told_of_is_not_told_to_be_over() {
        assert_eq!(at(Telling::raised(NOW).resolved(NOW)), None);
        // It may have heard of it.
        assert_eq!(at(Telling::raised(NOW).failed(NOW).resolved(NOW)), Some(0));
    }

    #[test]
    fn the_pauses_after_failures_grow_to_their_limit() {
        let mut telling = Telling::raised(NOW);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            telling = telling.failed(NOW);
            pauses.extend(at(telling));
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(telling.succeeded(NOW, None).failures, 0);
    }
}
