//! Telling a person about an outage without flooding the log.

use std::time::{Duration, Instant};

/// An outage that goes on unchanged is told again this often.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Remembers what was told last.
#[derive(Default)]
pub(crate) struct Nag(Option<(String, Instant)>);

impl Nag {
    /// Whether `what` is worth a line now: it is new, or the last line is a minute old.
    pub(crate) fn is_due(&mut self, what: &str, now: Instant) -> bool {
        let told =
            self.0.as_ref().is_some_and(|(last, at)| last == what && now.duration_since(*at) < AGAIN_AFTER);
        if !told {
            self.0 = Some((what.to_owned(), now));
        }
        !told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_then_changes_then_once_a_minute() {
        let (mut nag, start) = (Nag::default(), Instant::now());
        let mut due = |what, seconds| nag.is_due(what, start + Duration::from_secs(seconds));
        assert!(due("refused", 0));
        assert!(!due("refused", 5));
        assert!(due("timed out", 6));
        assert!(!due("timed out", 60));
        assert!(due("timed out", 66));
    }
}
