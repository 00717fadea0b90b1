//! Alarms about what ingest alone sees: signatures that fail, and its spool. It has no database,
//! so each ingest keeps and tells its own; who is told, and how often, is as with the worker's
//! ([`contract::alarm`]).

mod signatures;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use contract::{
    alarm::{self, Notice, Receiver, State, Telling},
    nag::Nag,
};
use time::OffsetDateTime;
use tokio::{sync::Notify, time::timeout};

pub(crate) use signatures::Signatures;

/// How often is looked whether something is due, unless something becomes so.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// That an alarm is raised is told once in this time at the most: anybody can have webhooks refused between two real ones,
/// and raise it as often as they like.
const CALM: time::Duration = time::Duration::minutes(10);

/// The name of an alarm of ingest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Webhooks are refused one after the other for their signatures.
    SignaturesFailing,
    /// Webhooks wait in the spool for long.
    SpoolOld,
    /// The spool is half full.
    SpoolFilling,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SignaturesFailing, Self::SpoolOld, Self::SpoolFilling];

    /// As figures and receivers have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignaturesFailing => "signatures_failing",
            Self::SpoolOld => "spool_old",
            Self::SpoolFilling => "spool_filling",
        }
    }
}

/// What is raised, and what is told of it. Clones share everything.
#[derive(Clone, Default)]
pub struct Alarms(Arc<Shared>);

#[derive(Default)]
struct Shared {
    standing: Mutex<BTreeMap<Alarm, Standing>>,
    changed: Notify,
}

/// An alarm that was raised once.
struct Standing {
    since: OffsetDateTime,
    until: Option<OffsetDateTime>,
    text: String,
    telling: Telling,
    /// When it was last told that it is raised.
    told_at: Option<OffsetDateTime>,
    nag: Nag,
}

impl Standing {
    /// Of an alarm that is raised now, after it was raised `before`.
    fn raised(now: OffsetDateTime, before: Option<Self>) -> Self {
        let (mut telling, mut told_at, mut nag) = (Telling::raised(now), None, Nag::default());
        if let Some(before) = before {
            telling.due = before.told_at.map_or(now, |told_at| now.max(told_at + CALM)).into();
            // Who has not been told yet that it was over still takes it for raised.
            telling.told = before.telling.told && before.telling.due.is_some();
            (told_at, nag) = (before.told_at, before.nag);
        }
        Self { since: now, until: None, text: String::new(), telling, told_at, nag }
    }
}

impl Alarms {
    /// None is raised.
    #[must_use]
    pub fn new() -> Self {
        Alarm::ALL.into_iter().for_each(|alarm| alarm::figure(alarm.name(), false));
        Self::default()
    }

    /// Raises it, or says that it lasts. `text` names no secret, number or text of a message.
    pub(crate) fn raise(&self, alarm: Alarm, text: impl Into<String>) {
        let (text, now) = (text.into(), OffsetDateTime::now_utc());
        let mut standing = self.standing();
        let is_new = standing.get(&alarm).is_none_or(|it| it.until.is_some());
        if is_new {
            let raised = Standing::raised(now, standing.remove(&alarm));
            standing.insert(alarm, raised);
            alarm::figure(alarm.name(), true);
            self.0.changed.notify_one();
        }
        let Some(raised) = standing.get_mut(&alarm) else { return };
        if raised.nag.is_due("", Instant::now()) {
            tracing::error!(
                alarm = alarm.name(),
                text,
                "alarm {}",
                if is_new { "raised" } else { "still raised" }
            );
        }
        raised.text = text;
    }

    /// Says that there is no reason for it.
    pub(crate) fn resolve(&self, alarm: Alarm) {
        let mut standing = self.standing();
        let Some(raised) = standing.get_mut(&alarm).filter(|it| it.until.is_none()) else { return };
        let now = OffsetDateTime::now_utc();
        raised.until = Some(now);
        raised.telling = raised.telling.resolved(now);
        alarm::figure(alarm.name(), false);
        tracing::info!(alarm = alarm.name(), "alarm resolved");
        self.0.changed.notify_one();
    }

    /// Tells whoever is to be told, for ever. It holds nobody up.
    pub(crate) async fn tell(self, receiver: Receiver, repeat: Option<Duration>) {
        loop {
            // Nobody waits for the answer but this loop.
            let _ = timeout(LOOK_EVERY, self.0.changed.notified()).await;
            while let Some((alarm, since, until, text)) = self.due() {
                let state = if until.is_some() { State::Resolved } else { State::Raised };
                let notice =
                    Notice { alarm: alarm.name(), state, since, until, text: &text, source: "ingest" };
                let told = receiver.tell(&notice).await;
                if let Err(error) = &told {
                    tracing::warn!(alarm = alarm.name(), %error, "BUZON_ALERT_URL did not take an alarm; it is told again later");
                }
                if told.is_ok() && state == State::Raised {
                    self.heard(alarm);
                }
                let again = repeat.filter(|_| state == State::Raised);
                self.told(alarm, (since, until), |telling, now| match told {
                    Ok(()) => telling.succeeded(now, again),
                    Err(_) => telling.failed(now),
                });
            }
        }
    }

    /// One that is due. It counts as told from here: what becomes of it meanwhile is told, too.
    fn due(&self) -> Option<(Alarm, OffsetDateTime, Option<OffsetDateTime>, String)> {
        let now = OffsetDateTime::now_utc();
        let mut standing = self.standing();
        let (alarm, it) = standing.iter_mut().find(|(_, it)| it.telling.due.is_some_and(|due| due <= now))?;
        it.telling.told = true;
        Some((*alarm, it.since, it.until, it.text.clone()))
    }

    /// Notes that somebody has heard now that it is raised.
    fn heard(&self, alarm: Alarm) {
        if let Some(it) = self.standing().get_mut(&alarm) {
            it.told_at = Some(OffsetDateTime::now_utc());
        }
    }

    fn told(
        &self,
        alarm: Alarm,
        of: (OffsetDateTime, Option<OffsetDateTime>),
        after: impl FnOnce(Telling, OffsetDateTime) -> Telling,
    ) {
        if let Some(it) = self.standing().get_mut(&alarm).filter(|it| (it.since, it.until) == of) {
            it.telling = after(it.telling, OffsetDateTime::now_utc());
        }
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<Alarm, Standing>> {
        self.0.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn is_raised(&self, alarm: Alarm) -> bool {
        self.standing().get(&alarm).is_some_and(|it| it.until.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_when_raised_and_once_when_over() {
        let alarms = Alarms::new();
        alarms.raise(Alarm::SpoolOld, "a");
        alarms.raise(Alarm::SpoolOld, "b");
        let told = |alarms: &Alarms| {
            let (alarm, since, until, text) = alarms.due()?;
            alarms.told(alarm, (since, until), |telling, now| telling.succeeded(now, None));
            Some((alarm, until.is_some(), text))
        };
        assert_eq!(told(&alarms), Some((Alarm::SpoolOld, false, "b".to_owned())));
        assert_eq!(told(&alarms), None);
        alarms.resolve(Alarm::SpoolOld);
        alarms.resolve(Alarm::SpoolOld);
        assert_eq!(told(&alarms), Some((Alarm::SpoolOld, true, "b".to_owned())));
        assert_eq!(told(&alarms), None);
    }

    #[test]
    fn what_comes_and_goes_is_told_once_in_a_while() {
        let alarms = Alarms::new();
        let told = || {
            let mut told = 0;
            while let Some((alarm, since, until, _)) = alarms.due() {
                alarms.told(alarm, (since, until), |telling, now| telling.succeeded(now, None));
                if until.is_none() {
                    alarms.heard(alarm);
                }
                told += 1;
            }
            told
        };
        let comes_and_goes = || {
            alarms.raise(Alarm::SignaturesFailing, "a");
            let raised = told();
            alarms.resolve(Alarm::SignaturesFailing);
            [raised, told()]
        };
        alarms.raise(Alarm::SignaturesFailing, "a");
        alarms.resolve(Alarm::SignaturesFailing);
        assert_eq!(told(), 0, "nobody has heard of it");
        assert_eq!(comes_and_goes(), [1, 1]);
        for _ in 0..100 {
            assert_eq!(comes_and_goes(), [0, 0]);
        }
        alarms.standing().values_mut().for_each(|it| it.told_at = it.told_at.map(|at| at - CALM));
        assert_eq!(comes_and_goes(), [1, 1]);
        assert_eq!(comes_and_goes(), [0, 0]);
    }

    #[test]
    fn what_changes_while_it_is_told_is_told_too() {
        let alarms = Alarms::new();
        alarms.raise(Alarm::SpoolOld, "a");
        let first = alarms.due().map(|(_, since, until, _)| (since, until));
        alarms.resolve(Alarm::SpoolOld);
        if let Some(of) = first {
            alarms.told(Alarm::SpoolOld, of, |telling, now| telling.succeeded(now, None));
        }
        assert!(alarms.due().is_some_and(|(_, _, until, _)| until.is_some()));
    }
}
