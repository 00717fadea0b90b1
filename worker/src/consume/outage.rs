//! Waiting while the database is away: deliveries are held, not bounced.

use std::time::{Duration, Instant};

use contract::{broker::retry_pauses, health::Health};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{fault::Fault, figures, schema};

/// How long deliveries are held. Then they are given back, once, before the broker does it
/// for us: its consumer time-out is 30 minutes, and closes the channel.
/// Source: RabbitMQ, "Consumers: Delivery Acknowledgement Timeout".
const HOLD_AT_MOST: Duration = Duration::from_secs(20 * 60);

/// An outage that a window is held through.
pub(super) struct Outage {
    began: Instant,
}

impl Outage {
    /// None yet.
    pub(super) fn none() -> Self {
        Self { began: Instant::now() }
    }

    /// Waits until the database answers after `fault`, probing it with pauses.
    ///
    /// # Errors
    /// The fault, when it outlasts the hold or `stop` comes first: the deliveries go back.
    pub(super) async fn wait(
        &self,
        pool: &PgPool,
        health: &Health,
        stop: &CancellationToken,
        fault: Fault,
    ) -> Result<(), Fault> {
        tracing::error!(error = %fault, "consumption is paused until the database answers");
        figures::database_away(true);
        health.ailing(schema::HEALTH, "the database does not answer, or refuses");
        for pause in retry_pauses() {
            if self.began.elapsed() > HOLD_AT_MOST {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
            if sqlx::query("SELECT 1").execute(pool).await.is_ok() {
                figures::database_away(false);
                health.fine(schema::HEALTH);
                tracing::info!("the database answers");
                return Ok(());
            }
        }
        Err(fault)
    }
}
