//! Deliveries in: windows of them are stored, then settled.
//!
//! Architecture invariants: a delivery is acknowledged only after its transaction is
//! committed; and each is settled once, by one `multiple` acknowledgement of its window.

mod outage;
mod queue;
mod window;

use contract::{
    broker::{Broker, BrokerError, retry_pauses},
    health::Health,
    topology,
};
use futures_util::future::join3;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{schema, store::Store};
use queue::{Lane, Stopped};

/// The part of a worker's health that consuming is.
pub const HEALTH: &str = "broker";

/// How consuming is done.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many deliveries may be here unsettled, for each queue.
    pub prefetch: u16,
    /// How many deliveries one transaction takes at the most.
    pub window: usize,
}

/// Consumes until `stop`. The database or the broker being away is waited out.
pub async fn run(broker: Broker, store: Store, settings: Settings, health: Health, stop: CancellationToken) {
    let mut pauses = retry_pauses();
    while !stop.is_cancelled() {
        // Nothing is taken from the broker that can't be stored.
        tokio::select! {
            () = stop.cancelled() => return,
            () = schema::ready(&store.pool, &health) => {}
        }
        let ended = session(&broker, &store, settings, &health, &stop, &mut || pauses = retry_pauses()).await;
        match ended {
            Ok(()) => return,
            Err(error) => {
                health.ailing(HEALTH, error.to_string());
                tracing::warn!(error = %error, "not consuming");
            }
        }
        let pause = pauses.next().unwrap_or_default();
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Why a session ended before it was asked to.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Consuming(#[from] Stopped),
}

/// One connection's worth of consuming; `Ok` when it was asked to stop.
async fn session(
    broker: &Broker,
    store: &Store,
    settings: Settings,
    health: &Health,
    stop: &CancellationToken,
    connected: &mut impl FnMut(),
) -> Result<(), Ended> {
    let connection = broker.connect().await?;
    connected();
    health.fine(HEALTH);
    tracing::info!("consuming");
    // One queue that fails ends the others too, but between two windows: a transaction is
    // never dropped half-way.
    let stop = stop.child_token();
    let consume = |name, lane| {
        until_one_ends(queue::consume(&connection, name, lane, store, settings, health, &stop), &stop)
    };
    let (events, unrouted, dead_letters) = join3(
        consume(topology::EVENTS_QUEUE, Lane::Fast),
        consume(topology::UNROUTED, Lane::Fast),
        consume(topology::DEAD_LETTERS, Lane::Slow),
    )
    .await;
    if let Err(error) = connection.close(200, "done".into()).await {
        tracing::debug!(error = %error, "the connection was gone already");
    }
    Ok(events.and(unrouted).and(dead_letters)?)
}

async fn until_one_ends<T>(consuming: impl Future<Output = T>, stop: &CancellationToken) -> T {
    let ended = consuming.await;
    stop.cancel();
    ended
}
