//! Deliveries in: windows of them are stored, then settled.
//!
//! Architecture invariants: a delivery is acknowledged only after its transaction is
//! committed; and each is settled once, by one `multiple` acknowledgement of its window.

mod queue;
mod waiting;
mod window;

pub use waiting::waiting;

use std::time::{Duration, Instant};

use contract::{
    broker::{Broker, BrokerError, retry_pauses},
    health::Health,
    nag::Nag,
    topology,
};
use futures_util::future::join3;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{outage::Outages, schema, store::Store};
use queue::{Queue, Stopped};

/// The part of a worker's health that consuming is.
pub const HEALTH: &str = "broker";

/// How long deliveries are held through an outage. Then they are given back, once, before the
/// broker does it for us: its consumer time-out is 30 minutes, and closes the channel.
/// Source: RabbitMQ, "Consumers: Delivery Acknowledgement Timeout".
pub const HOLD_AT_MOST: Duration = Duration::from_secs(20 * 60);

/// A session that lived shorter than this counts as one more failed attempt.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// How consuming is done.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many deliveries may be here unsettled, for each queue.
    pub prefetch: u16,
    /// How many deliveries one transaction takes at the most.
    pub window: usize,
    /// How long deliveries are held unsettled at the most.
    pub hold: Duration,
}

/// What consumes.
pub struct Consumer {
    /// Where deliveries come from.
    pub broker: Broker,
    /// Where webhooks go to.
    pub store: Store,
    /// How.
    pub settings: Settings,
}

/// Why a session ended before it was asked to.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Consuming(#[from] Stopped),
}

impl Consumer {
    /// Consumes until `stop`. The database or the broker being away is waited out.
    ///
    /// # Errors
    /// [`BrokerError::Topology`], where the first connection finds one that is not ours. Found
    /// later, it is waited out too: somebody is at it.
    pub async fn run(
        self,
        outages: Outages,
        health: Health,
        stop: CancellationToken,
    ) -> Result<(), BrokerError> {
        let (mut pauses, mut nag, mut connected) = (retry_pauses(), Nag::default(), false);
        let mut schema = outages.met_by("schema");
        while !stop.is_cancelled() {
            // Nothing is taken from the broker that can't be stored.
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = schema::ready(&self.store.pool, &mut schema) => {}
            }
            let began = Instant::now();
            let error = match self.session(&outages, &health, &stop, &mut connected).await {
                Ok(()) => return Ok(()),
                Err(Ended::Broker(error @ BrokerError::Topology(_))) if !connected => return Err(error),
                Err(error) => error.to_string(),
            };
            if nag.is_due(&error, Instant::now()) {
                tracing::warn!(error, "not consuming; trying for ever");
            }
            health.ailing(HEALTH, error);
            if began.elapsed() >= SETTLED_AFTER {
                pauses = retry_pauses();
            }
            let pause = pauses.next().unwrap_or_default();
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// One connection's worth of consuming; `Ok` when it was asked to stop.
    async fn session(
        &self,
        outages: &Outages,
        health: &Health,
        stop: &CancellationToken,
        connected: &mut bool,
    ) -> Result<(), Ended> {
        let connection = self.broker.connect().await?;
        *connected = true;
        health.fine(HEALTH);
        tracing::info!("consuming");
        // One queue that fails ends the others too, but between two windows: what is being projected is never
        // dropped half-way. What is only archived ahead may be: it comes again.
        let session = stop.child_token();
        let consume = async |name, set_aside| {
            let met = outages.met_by(name);
            let queue = Queue { name, set_aside, store: &self.store, settings: self.settings };
            let ended = queue.consume(&connection, met, &session, stop).await;
            session.cancel();
            ended
        };
        let (events, unrouted, dead_letters) = join3(
            consume(topology::EVENTS_QUEUE, false),
            consume(topology::UNROUTED, false),
            consume(topology::DEAD_LETTERS, true),
        )
        .await;
        if let Err(error) = connection.close(200, "done".into()).await {
            tracing::debug!(error = %error, "the connection was gone already");
        }
        Ok(events.and(unrouted).and(dead_letters)?)
    }
}
