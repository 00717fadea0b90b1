//! How the loops of one process learn that there is work: they are woken, and they look.

use std::time::Duration;

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// What tells the other tasks of this process that there is work for them. Other workers
/// find it by looking.
#[derive(Default)]
pub struct Wake {
    /// Effects are owed.
    pub outbox: Notify,
    /// Webhooks are pending.
    pub pending: Notify,
}

/// Waits before the next look: for `pause` after a failure, else until `woken`, or for
/// `every` at the most. Ends at once on `stop`.
pub(crate) async fn before_next_look(
    stop: &CancellationToken,
    pause: Option<Duration>,
    woken: &Notify,
    every: Duration,
) {
    let waited = async {
        match pause {
            Some(pause) => sleep(pause).await,
            // Woken or not, the next look finds out.
            None => drop(timeout(every, woken.notified()).await),
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = waited => {}
    }
}
