//! What time alone settles.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::api_key;
use crate::{
    outage::{Outages, in_time},
    wake::before_next_look,
};

/// How often it is seen to where nothing is sent.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sees to it until `stop`, in a worker whose effects are off: what others owe becomes too old nevertheless.
pub async fn run(pool: PgPool, outages: Outages, stop: CancellationToken) {
    let (mut met, nobody) = (outages.met_by("sweeper"), Notify::new());
    while !stop.is_cancelled() {
        let pause = match in_time(sweep(&pool)).await {
            Ok(()) => {
                met.works();
                None
            }
            Err(error) => Some(met.failed(&error)),
        };
        before_next_look(&stop, pause, &nobody, LOOK_EVERY).await;
    }
}

/// A lease that ran out over an attempt without an outcome (its worker was killed) makes the
/// effect unknown; a pending one that has become too old is discarded. Who leased is kept:
/// a dispatcher that never let the request leave can still say so.
///
/// What somebody else is changing is left for the next time, so that nobody waits for this.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    for statement in [
        "UPDATE effects SET state = 'unknown', lease = NULL, settled_at = now(),
            outcome = 'the worker stopped before it saw the answer'
         WHERE id IN (SELECT id FROM effects WHERE state = 'pending' AND lease < now() FOR UPDATE SKIP LOCKED)",
        "UPDATE effects SET state = 'discarded', settled_at = now(),
            outcome = concat_ws('; ', 'it became too old while it waited', outcome)
         WHERE id IN (SELECT id FROM effects WHERE state = 'pending' AND lease IS NULL AND expires_at < now()
                      FOR UPDATE SKIP LOCKED)",
        // What was asked of Kapso is of interest for some days.
        "DELETE FROM effect_listings WHERE asked_at < now() - interval '30 days'",
    ] {
        sqlx::query(statement).execute(pool).await?;
    }
    api_key::forget_calls(pool).await
}
