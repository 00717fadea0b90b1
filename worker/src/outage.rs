//! The database being away, as this process sees it: one state, told once, whoever meets it.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use contract::{broker::retry_pauses, health::Health, nag::Nag};
use tokio::time::timeout;

use crate::figures;

/// The part of a worker's health that the database is.
pub const HEALTH: &str = "database";

/// How long the database has for a transaction of ours. A lock is waited for for half a minute at the most; RabbitMQ
/// waits for an acknowledgement for half an hour.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Waits for what is asked of the database, but not for ever: a host that vanishes says nothing, and TCP does not tell
/// who only waits for an answer.
///
/// # Errors
/// Those of `asked`, and an I/O error at the end of two minutes.
pub(crate) async fn in_time<T, E: From<sqlx::Error>>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    within(ANSWER_WITHIN, asked).await
}

async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "Postgres does not answer"));
    timeout(limit, asked).await.unwrap_or_else(|_| Err(late().into()))
}

/// The outage that everybody who stores shares: it begins with the first of them that
/// fails, and is over when each that failed has stored. That the database answers is no
/// proof: it does so too when it is read-only, its disk is full or a table is missing.
#[derive(Clone)]
pub struct Outages(Arc<Shared>);

struct Shared {
    health: Health,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who can't store.
    stuck: BTreeSet<&'static str>,
    began: Option<Instant>,
    nag: Nag,
}

impl Outages {
    /// None yet; `health` is told of them.
    #[must_use]
    pub fn new(health: Health) -> Self {
        Self(Arc::new(Shared { health, state: Mutex::default() }))
    }

    /// The outage as one loop meets it.
    #[must_use]
    pub fn met_by(&self, who: &'static str) -> Met {
        Met { outages: self.clone(), who, pauses: None }
    }

    fn failed(&self, who: &'static str, why: &impl Display, brief: String) {
        let now = Instant::now();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *state.began.get_or_insert(now);
        state.stuck.insert(who);
        // What differs from loop to loop and from try to try is one outage.
        if state.nag.is_due("", now) {
            let lasts = now.duration_since(began).as_secs();
            tracing::error!(error = %why, who, outage.seconds = lasts, "storing is paused: the database takes nothing");
        }
        figures::database_away(true);
        self.0.health.ailing(HEALTH, brief);
    }

    fn works(&self, who: &'static str) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stuck.remove(who);
        if !state.stuck.is_empty() {
            return;
        }
        if let Some(began) = state.began.take() {
            tracing::info!(outage.seconds = began.elapsed().as_secs(), "the database stores again");
        }
        state.nag = Nag::default();
        figures::database_away(false);
        self.0.health.fine(HEALTH);
    }
}

/// One loop's part in an outage: what it could not store it tries again until it can, or the
/// process stops.
pub struct Met {
    outages: Outages,
    who: &'static str,
    pauses: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

impl Met {
    /// Notes that it failed; how long to wait before the next try.
    #[must_use]
    pub fn failed(&mut self, why: &impl Display) -> Duration {
        self.failed_because(why, "the database takes nothing (see the log)".to_owned())
    }

    /// As [`Self::failed`]; `brief` is what health says. It must name nobody and nothing secret.
    #[must_use]
    pub fn failed_because(&mut self, why: &impl Display, brief: String) -> Duration {
        self.outages.failed(self.who, why, brief);
        let pauses = self.pauses.get_or_insert_with(|| Box::new(retry_pauses()));
        pauses.next().unwrap_or_default()
    }

    /// Notes that it works. Costs nothing where it did before.
    pub fn works(&mut self) {
        if self.pauses.take().is_some() {
            self.outages.works(self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn it_is_over_when_each_that_failed_has_stored() {
        let health = Health::of(&[HEALTH]);
        let outages = Outages::new(health.clone());
        let (mut a, mut b) = (outages.met_by("a"), outages.met_by("b"));
        let first = a.failed(&"read-only");
        let _ = b.failed(&"read-only");
        a.works();
        assert!(!health.is_ready());
        let second = b.failed(&"read-only");
        assert!(second > first / 2, "{first:?} {second:?}");
        b.works();
        assert!(health.is_ready());
    }

    #[test]
    fn the_pauses_grow_until_it_works() {
        let mut met = Outages::new(Health::of(&[HEALTH])).met_by("a");
        let pauses: Vec<_> = (0..10).map(|_| met.failed(&"full")).collect();
        assert!(pauses.last() >= Some(&Duration::from_secs(5)), "{pauses:?}");
        met.works();
        assert!(met.failed(&"full") < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn what_is_never_answered_is_an_outage() {
        let never = std::future::pending::<Result<(), Fault>>();
        let ended = within(Duration::from_millis(10), never).await;
        assert!(matches!(ended, Err(Fault::Outage(_))), "{ended:?}");
    }
}
