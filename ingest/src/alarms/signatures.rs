//! Signatures that fail one after the other: the secret is another than Kapso's, or something on
//! the way changes bodies or drops headers. Kapso pauses a webhook for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contract::signature::Refused;
use tokio::time::sleep;

use super::{Alarm, Alarms};

/// So many refused in a row, and none taken in between. Kapso tries each webhook four times, so
/// these are three or more; it pauses after ten failures and more.
const IN_A_ROW: u32 = 10;

/// Refused ones that are followed by nothing at all for so long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);

/// Counts them. Clones share the count.
#[derive(Clone)]
pub(crate) struct Signatures(Arc<Counts>);

struct Counts {
    alarms: Alarms,
    in_a_row: AtomicU32,
}

impl Signatures {
    pub(crate) fn new(alarms: Alarms) -> Self {
        Self(Arc::new(Counts { alarms, in_a_row: AtomicU32::new(0) }))
    }

    /// A webhook was authentic.
    pub(crate) fn valid(&self) {
        // Nearly always nothing was refused before: nothing is written then.
        if self.count() > 0 {
            self.start_anew();
        }
    }

    /// One was not. What carries no signature counts only where the rest of it looks like
    /// Kapso's: anything can be posted to a public address.
    pub(crate) fn refused(&self, why: Refused, looks_like_kapso: bool) {
        if why == Refused::Missing && !looks_like_kapso {
            return;
        }
        let count = self.0.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if count >= IN_A_ROW {
            self.0.alarms.raise(
                Alarm::SignaturesFailing,
                format!(
                    "{count} webhooks in a row were refused for their signatures, and Kapso pauses a webhook for that: \
                     compare KAPSO_WEBHOOK_SECRET with the webhook's secret in Kapso (worker webhook status), and look \
                     for a proxy that changes bodies or drops headers"
                ),
            );
        }
    }

    /// Forgets, for ever, what nothing has followed for long.
    pub(crate) async fn forget(self) {
        loop {
            let before = self.count();
            sleep(FORGET_AFTER).await;
            self.forget_all_of(before);
        }
    }

    /// Forgets so many, unless more have come.
    fn forget_all_of(&self, before: u32) {
        if before > 0 && self.count() == before {
            self.start_anew();
        }
    }

    fn start_anew(&self) {
        self.0.in_a_row.store(0, Ordering::Relaxed);
        self.0.alarms.resolve(Alarm::SignaturesFailing);
    }

    fn count(&self) -> u32 {
        self.0.in_a_row.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_a_row_and_none_between() {
        let alarms = Alarms::new();
        let signatures = Signatures::new(alarms.clone());
        let refuse = |times| (0..times).for_each(|_| signatures.refused(Refused::Invalid, false));
        refuse(9);
        signatures.valid();
        refuse(9);
        assert!(!alarms.is_raised(Alarm::SignaturesFailing));
        refuse(1);
        assert!(alarms.is_raised(Alarm::SignaturesFailing));
        signatures.valid();
        assert!(!alarms.is_raised(Alarm::SignaturesFailing));
    }

    #[test]
    fn what_never_was_kapsos_does_not_count() {
        let alarms = Alarms::new();
        let signatures = Signatures::new(alarms.clone());
        (0..20).for_each(|_| signatures.refused(Refused::Missing, false));
        assert!(!alarms.is_raised(Alarm::SignaturesFailing));
        (0..10).for_each(|_| signatures.refused(Refused::Missing, true));
        assert!(alarms.is_raised(Alarm::SignaturesFailing));
    }

    #[test]
    fn what_nothing_follows_is_forgotten() {
        let alarms = Alarms::new();
        let signatures = Signatures::new(alarms.clone());
        (0..10).for_each(|_| signatures.refused(Refused::Invalid, false));
        signatures.forget_all_of(9);
        assert!(alarms.is_raised(Alarm::SignaturesFailing));
        signatures.forget_all_of(10);
        assert!(!alarms.is_raised(Alarm::SignaturesFailing));
    }
}
