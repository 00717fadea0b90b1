//! What a key of Kapso's API allows, and what an answer changes about that. Pure; the table
//! `api_keys` holds it for all workers ([`super::api_key`]).

use std::time::Duration;

use time::OffsetDateTime;

use super::EffectKind;

/// So many failures in a row, and Kapso is left alone but for one probe at a time.
const FAILURES: i32 = 5;

/// The first pause before a probe of what fails; it doubles with each that fails too.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a probe: by so much a recovery is seen late.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pause before a probe where a person has to do something first: change the token, or pay.
const PERSON_PAUSE: Duration = Duration::from_secs(60);

/// Why only probes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Calls have failed several times in a row.
    Failing,
    /// Kapso refuses the token.
    TokenRefused,
    /// The project has no credits left at Kapso.
    CreditsExhausted,
}

impl Hold {
    const ALL: [Self; 3] = [Self::Failing, Self::TokenRefused, Self::CreditsExhausted];

    /// As figures have it, and the table's column `hold_reason`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::TokenRefused => "token_refused",
            Self::CreditsExhausted => "credits_exhausted",
        }
    }

    /// As the table's column `hold` has it, which workers of the version before read and write: to
    /// them exhausted credits are like a refused token.
    pub(super) const fn kept_as(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::TokenRefused | Self::CreditsExhausted => "token_refused",
        }
    }

    /// From the table's column `hold_reason`. A reason that only a later version knows holds the key all the same.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|hold| hold.name() == name).unwrap_or(Self::Failing)
    }
}

/// What an answer says of the key, whatever it says of the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The API answers, and takes the key.
    Works,
    /// It did what it was asked to do.
    Performed(EffectKind),
    /// No connection, or a 5xx.
    Failed,
    /// No more calls for so long.
    Limited(Duration),
    /// The token is refused.
    Refused,
    /// The credits are exhausted: it did not do this.
    Unpaid(EffectKind),
    /// Nothing.
    Untold,
}

/// Which calls may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// None.
    Nothing,
    /// One, and no other before it has ended.
    Probe,
    /// As many as the minute has left.
    Calls,
}

/// The state of a key. All times are the database's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// No call before then: Kapso has said so.
    pub(super) limited_until: Option<OffsetDateTime>,
    /// Failures in a row.
    pub(super) failures: i32,
    /// Why only probes are sent, and since when.
    pub(super) hold: Option<(Hold, OffsetDateTime)>,
    /// No probe before then.
    pub(super) next_probe_at: Option<OffsetDateTime>,
    /// The lease of the probe that is under way, and when that runs out.
    pub(super) probe: Option<(String, OffsetDateTime)>,
    /// Whether marks, too, were refused because the credits are exhausted.
    pub(super) marks_unpaid: bool,
}

impl Key {
    /// Which calls may leave now.
    pub(super) fn allowed(&self, now: OffsetDateTime) -> Allowed {
        let ahead = |until: Option<OffsetDateTime>| until.is_some_and(|until| until > now);
        // The probe of a worker that was killed is waited for until its lease has run out.
        let probing = ahead(self.probe.as_ref().map(|(_, until)| *until));
        if self.is_limited(now) || ahead(self.next_probe_at) || probing {
            Allowed::Nothing
        } else if self.hold.is_some() {
            Allowed::Probe
        } else {
            Allowed::Calls
        }
    }

    /// Whether Kapso has said that no call may leave now.
    pub(super) fn is_limited(&self, now: OffsetDateTime) -> bool {
        self.limited_until.is_some_and(|until| until > now)
    }

    /// What holds it up, as figures name it.
    pub(super) fn reason(&self, now: OffsetDateTime) -> Option<&'static str> {
        let limited = self.is_limited(now).then_some(LIMITED);
        self.hold.map(|(hold, _)| hold.name()).or(limited)
    }

    /// The key after the answer to a call that was leased by `token`.
    #[must_use]
    pub(super) fn after(mut self, standing: Standing, token: &str, now: OffsetDateTime) -> Self {
        let was_probe = self.probe.take_if(|(probe, _)| probe == token).is_some();
        match standing {
            Standing::Works | Standing::Performed(_) if self.ends_hold(standing) => {
                return Self { limited_until: self.limited_until, ..Self::default() };
            }
            Standing::Works => self.failures = 0,
            Standing::Performed(_) => {
                self.failures = 0;
                if was_probe {
                    // A mark that costs nothing holds up nothing: the next effect may be a reply.
                    self.next_probe_at = Some(now);
                }
                return self;
            }
            Standing::Limited(pause) => {
                self.limited_until = self.limited_until.max(Some(now + pause));
            }
            Standing::Failed => self.failures = self.failures.saturating_add(1),
            Standing::Refused => self.hold_for(Hold::TokenRefused, now),
            Standing::Unpaid(kind) => {
                self.marks_unpaid |= kind == EffectKind::MarkRead;
                self.hold_for(Hold::CreditsExhausted, now);
            }
            Standing::Untold => {}
        }
        if self.failures >= FAILURES && self.hold.is_none() {
            self.hold_for(Hold::Failing, now);
        } else if was_probe {
            // Only the probe's own failure puts off the next; what left before it is no news.
            self.next_probe_at = self.hold.map(|(hold, _)| now + self.pause(hold));
        }
        self
    }

    /// Whether an answer shows that what holds the key is over. Of credits only the sort of effect
    /// that needs them does: Kapso may refuse a message, or take a mark, without looking at them.
    fn ends_hold(&self, answer: Standing) -> bool {
        if !self.hold.is_some_and(|(hold, _)| hold == Hold::CreditsExhausted) {
            return true;
        }
        match answer {
            Standing::Performed(EffectKind::SendText) => true,
            Standing::Performed(EffectKind::MarkRead) => self.marks_unpaid,
            _ => false,
        }
    }

    fn hold_for(&mut self, hold: Hold, now: OffsetDateTime) {
        if self.hold.is_none_or(|(was, _)| was != hold) {
            self.hold = Some((hold, now));
            self.next_probe_at = Some(now + self.pause(hold));
        }
    }

    fn pause(&self, hold: Hold) -> Duration {
        match hold {
            Hold::TokenRefused | Hold::CreditsExhausted => PERSON_PAUSE,
            Hold::Failing => {
                let doublings = u32::try_from(self.failures - FAILURES).unwrap_or(0).min(16);
                FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
            }
        }
    }
}

/// What figures call a key that Kapso has put off by a 429.
pub(super) const LIMITED: &str = "rate_limited";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-25 12:00 UTC);

    fn after(standings: &[Standing]) -> Key {
        standings.iter().fold(Key::default(), |key, standing| key.after(*standing, "a lease", NOW))
    }

    fn seconds(seconds: u64) -> OffsetDateTime {
        NOW + Duration::from_secs(seconds)
    }

    fn probing(mut key: Key) -> Key {
        key.probe = Some(("probe".to_owned(), seconds(30)));
        key
    }

    #[test]
    fn five_failures_in_a_row_leave_one_probe_at_a_time() {
        let four = after(&[Standing::Failed; 4]);
        assert_eq!(four.allowed(NOW), Allowed::Calls);
        let interrupted = four.clone().after(Standing::Works, "x", NOW).after(Standing::Failed, "x", NOW);
        assert_eq!(interrupted.allowed(NOW), Allowed::Calls);
        let held = four.after(Standing::Failed, "x", NOW);
        assert_eq!((held.allowed(NOW), held.allowed(seconds(1))), (Allowed::Nothing, Allowed::Probe));
        let probing = probing(held);
        assert_eq!(
            (probing.allowed(seconds(29)), probing.allowed(seconds(30))),
            (Allowed::Nothing, Allowed::Probe)
        );
        // What left before the hold is no news, unless it worked.
        assert_eq!(probing.clone().after(Standing::Untold, "another", NOW), probing);
        let late = probing.clone().after(Standing::Failed, "another", NOW);
        assert_eq!((&late.probe, late.next_probe_at), (&probing.probe, probing.next_probe_at));
        assert_eq!(probing.after(Standing::Works, "another", NOW), Key::default());
    }

    #[test]
    fn the_pauses_between_probes_grow_to_their_limit() {
        let mut key = after(&[Standing::Failed; 5]);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push((key.next_probe_at.unwrap_or(NOW) - NOW).whole_seconds());
            key = probing(key).after(Standing::Failed, "probe", NOW);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        // A probe whose end nobody saw is no success.
        assert_eq!(probing(key).after(Standing::Untold, "probe", NOW).next_probe_at, Some(seconds(30)));
    }

    #[test]
    fn a_refused_token_is_probed_once_a_minute() {
        let held = after(&[Standing::Refused]);
        assert_eq!(
            (held.allowed(seconds(59)), held.allowed(seconds(60))),
            (Allowed::Nothing, Allowed::Probe)
        );
        assert_eq!(held.reason(NOW), Some("token_refused"));
        // Those that left with it do not put the probe off.
        assert_eq!(held.clone().after(Standing::Refused, "another", seconds(9)), held);
        let again = probing(held).after(Standing::Refused, "probe", seconds(70));
        assert_eq!(again.next_probe_at, Some(seconds(130)));
        assert_eq!(again.hold, Some((Hold::TokenRefused, NOW)));
        assert_eq!(
            after(&[Standing::Failed; 5]).after(Standing::Refused, "x", NOW).reason(NOW),
            held_reason()
        );
        assert_eq!(probing(again).after(Standing::Works, "probe", NOW).allowed(NOW), Allowed::Calls);
    }

    #[test]
    fn exhausted_credits_are_probed_once_a_minute_until_a_send_goes_through() {
        use EffectKind::{MarkRead, SendText};
        let held = after(&[Standing::Unpaid(SendText)]);
        assert_eq!(
            (held.allowed(seconds(59)), held.allowed(seconds(60))),
            (Allowed::Nothing, Allowed::Probe)
        );
        assert_eq!(held.reason(NOW), Some("credits_exhausted"));
        // What left with it does not put the probe off, and proves nothing.
        let others = [Standing::Unpaid(SendText), Standing::Works, Standing::Performed(MarkRead)];
        for standing in others {
            assert_eq!(held.clone().after(standing, "another", seconds(9)), held, "{standing:?}");
        }
        let refused = probing(held.clone()).after(Standing::Unpaid(SendText), "probe", seconds(70));
        assert_eq!((refused.next_probe_at, refused.hold), (Some(seconds(130)), held.hold));
        // A message that Kapso refuses for what it is says nothing of credits, nor does a mark that is free.
        let content = probing(held.clone()).after(Standing::Works, "probe", seconds(70));
        assert_eq!((content.next_probe_at, content.hold), (Some(seconds(130)), held.hold));
        let mark = probing(held.clone()).after(Standing::Performed(MarkRead), "probe", seconds(70));
        assert_eq!((mark.hold, mark.allowed(seconds(70))), (held.hold, Allowed::Probe));
        let paid = probing(held).after(Standing::Performed(SendText), "probe", seconds(70));
        assert_eq!(paid, Key::default());
    }

    #[test]
    fn a_mark_shows_that_there_are_credits_where_marks_need_them() {
        use EffectKind::{MarkRead, SendText};
        let held = after(&[Standing::Unpaid(SendText), Standing::Unpaid(MarkRead)]);
        assert!(held.marks_unpaid);
        assert_eq!(held.after(Standing::Performed(MarkRead), "x", NOW), Key::default());
        // Any other hold ends with any of them.
        for standing in [Standing::Works, Standing::Performed(MarkRead), Standing::Performed(SendText)] {
            assert_eq!(after(&[Standing::Refused, standing]), Key::default(), "{standing:?}");
        }
    }

    #[test]
    fn a_hold_that_only_a_later_version_knows_is_one() {
        assert_eq!(Hold::ALL.map(|hold| Hold::named(hold.name())), Hold::ALL);
        assert_eq!(Hold::named("of a later version"), Hold::Failing);
    }

    fn held_reason() -> Option<&'static str> {
        Some(Hold::TokenRefused.name())
    }

    #[test]
    fn a_limit_outlives_what_was_under_way_when_it_came() {
        let long = Standing::Limited(Duration::from_secs(60));
        let limited = after(&[long, Standing::Limited(Duration::from_secs(2)), Standing::Works]);
        assert_eq!(
            (limited.allowed(seconds(59)), limited.allowed(seconds(60))),
            (Allowed::Nothing, Allowed::Calls)
        );
        assert_eq!((limited.reason(NOW), limited.reason(seconds(60))), (Some(LIMITED), None));
    }
}
