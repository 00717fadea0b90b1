//! The drainer: brings what is in the spool to the broker, and so finds out whether it is well.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use contract::{envelope::Envelope, nag::Nag};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    CONFIRM_WITHIN,
    pace::{Pace, WINDOW},
    way::Way,
};
use crate::{
    figures::Figures,
    publish::{Publisher, Unconfirmed},
    spool::{Place, Source},
};

/// The most bytes that wait for their confirms at once; one webhook may be larger.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// A webhook that failed by itself is tried again after a second, doubled with each failure up
/// to this. It may hold up its segment, but no other webhook.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The most webhooks that failed by themselves and wait in memory. When there are so many, it
/// is the broker that fails.
const MOST_SUSPECTS: usize = 1024;

/// A webhook that is out of the spool and not done.
struct Taken {
    webhook: Envelope,
    /// How often it has failed with nothing else of ours under way.
    failures: u32,
    not_before: Option<Instant>,
}

/// How an attempt ended.
struct Landed {
    place: Place,
    taken: Taken,
    alone: bool,
    took: Duration,
    outcome: Result<(), Unconfirmed>,
}

/// The drainer's own.
pub(super) struct Drainer {
    source: Source,
    publisher: Publisher,
    way: Way,
    figures: Figures,
    pace: Pace,
    /// What waits, in the spool's order.
    waiting: BTreeMap<Place, Taken>,
    /// How many of them have failed before.
    suspects: usize,
    nag: Nag,
    flying: FuturesUnordered<Pin<Box<dyn Future<Output = Landed> + Send>>>,
    flying_bytes: usize,
}

impl Drainer {
    pub(super) fn new(source: Source, publisher: Publisher, way: Way, figures: Figures) -> Self {
        Self {
            source,
            publisher,
            way,
            figures,
            pace: Pace::new(),
            waiting: BTreeMap::new(),
            suspects: 0,
            nag: Nag::default(),
            flying: FuturesUnordered::new(),
            flying_bytes: 0,
        }
    }

    /// Works until `stop` is cancelled; what is under way then is waited for.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.fill() => {}
            }
            self.launch(Instant::now());
            let wake = self.wakes_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(landed) = self.flying.next(), if !self.flying.is_empty() => self.settle(landed),
                () = self.source.changed(), if !self.is_full() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            self.source.tidy();
        }
        let deadline = Instant::now() + CONFIRM_WITHIN;
        while let Ok(Some(landed)) = timeout_at(deadline, self.flying.next()).await {
            self.settle(landed);
        }
        self.source.tidy();
    }

    fn is_full(&self) -> bool {
        self.waiting.len() - self.suspects + self.flying.len() >= WINDOW || self.suspects >= MOST_SUSPECTS
    }

    async fn fill(&mut self) {
        while !self.is_full()
            && let Some((place, webhook)) = self.source.next().await
        {
            self.waiting.insert(place, Taken { webhook, failures: 0, not_before: None });
        }
    }

    /// Publishes what may be published now.
    fn launch(&mut self, now: Instant) {
        while self.flying.len() < self.pace.limit(now) {
            let Some(place) = self.choose(now) else { return };
            let Some(taken) = self.waiting.remove(&place) else { return };
            let alone = self.flying.is_empty();
            self.suspects -= usize::from(taken.failures > 0);
            self.flying_bytes += taken.webhook.body.len();
            let publisher = self.publisher.clone();
            self.flying.push(Box::pin(async move {
                let begun = Instant::now();
                let outcome = publisher.attempt(&taken.webhook, begun + CONFIRM_WITHIN).await;
                Landed { place, taken, alone, took: begun.elapsed(), outcome }
            }));
        }
    }

    /// The next to be published. One that failed by itself goes alone, when no other waits:
    /// it may be what breaks the connection, for all that is under way.
    fn choose(&self, now: Instant) -> Option<Place> {
        let mut due = self.waiting.iter().filter(|(_, taken)| taken.not_before.is_none_or(|at| at <= now));
        let fresh = due.clone().find(|(_, taken)| taken.failures == 0);
        if let Some((place, taken)) = fresh {
            let fits = self.flying_bytes + taken.webhook.body.len() <= WINDOW_BYTES;
            return (fits || self.flying.is_empty()).then_some(*place);
        }
        due.next().filter(|_| self.flying.is_empty()).map(|(place, _)| *place)
    }

    fn settle(&mut self, landed: Landed) {
        let Landed { place, mut taken, alone, took, outcome } = landed;
        self.flying_bytes -= taken.webhook.body.len();
        match outcome {
            Ok(()) => {
                self.source.done(place);
                self.figures.drained();
                self.pace.confirmed(took);
                let all = self.waiting.is_empty() && self.flying.is_empty();
                if self.pace.is_well(all) {
                    self.way.open();
                }
            }
            Err(why) => {
                let now = Instant::now();
                self.pace.failed(why, now);
                if self.nag.is_due(why.label(), now.into_std()) {
                    tracing::warn!(reason = %why, webhook.id = %taken.webhook.id, "the spool can't be drained; trying for ever");
                }
                if alone && matches!(why, Unconfirmed::Refused | Unconfirmed::Lost) {
                    taken.failures += 1;
                    let rest = Duration::from_secs(1 << taken.failures.min(5)).min(LONGEST_REST);
                    taken.not_before = Some(now + rest);
                    // It may be here for long, and must not hold the whole stretch it came in.
                    taken.webhook.body = Bytes::copy_from_slice(&taken.webhook.body);
                }
                self.suspects += usize::from(taken.failures > 0);
                self.waiting.insert(place, taken);
            }
        }
    }

    /// When there is something to do although nothing happens.
    fn wakes_at(&self) -> Option<Instant> {
        let first = self.waiting.values().map(|taken| taken.not_before).min()?;
        // While others are under way, their end is waited for.
        self.flying.is_empty().then(|| self.pace.resumes_at().max(first)).flatten()
    }
}
