//! The slow lane: pending webhooks, projected one at a time, so that one that fails or
//! kills the worker costs only itself.

use std::time::Duration;

use contract::broker::retry_pauses;
use tokio_util::sync::CancellationToken;

use super::{
    dead_letters,
    pending::{self, Claimed},
};
use crate::{decode::Undecodable, fault::Fault, figures, store::Store, wake::before_next_look};

/// How often a webhook is tried before it becomes a dead letter.
const MAX_ATTEMPTS: i32 = 3;

/// How often other workers' pending webhooks are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until `stop`; an outage is waited out.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut pauses = retry_pauses();
    while !stop.is_cancelled() {
        let pause = match work_one(&store).await {
            Ok(true) => {
                pauses = retry_pauses();
                continue;
            }
            Ok(false) => None,
            Err(error) => {
                tracing::warn!(error = %error, "the slow lane waits");
                pauses.next()
            }
        };
        before_next_look(&stop, pause, &store.wake.pending, LOOK_EVERY).await;
    }
}

/// Works on one pending webhook, if there is one. An error is an outage, never the data.
async fn work_one(store: &Store) -> Result<bool, Fault> {
    let Some(claimed) = pending::claim(&store.pool).await? else {
        return Ok(false);
    };
    let Claimed { webhook, attempt } = &claimed;
    if *attempt > MAX_ATTEMPTS {
        let reason = format!("the worker stopped in each of {MAX_ATTEMPTS} attempts to project it");
        bury(store, &claimed, reason).await?;
        return Ok(true);
    }
    match store.take_pending(webhook).await {
        Ok(()) => {}
        Err(Fault::Data(reason)) if *attempt == MAX_ATTEMPTS => bury(store, &claimed, reason).await?,
        Err(Fault::Data(reason)) => {
            tracing::warn!(webhook.id = %webhook.id, attempt, reason, "a webhook could not be projected");
            pending::release(&store.pool, webhook).await?;
        }
        Err(outage) => return Err(outage),
    }
    Ok(true)
}

/// Makes a dead letter of a pending webhook.
async fn bury(store: &Store, claimed: &Claimed, reason: String) -> sqlx::Result<()> {
    let webhook = &claimed.webhook;
    tracing::warn!(webhook.id = %webhook.id, reason, "dead letter");
    let letter = Undecodable { item: None, reason };
    let mut tx = store.pool.begin().await?;
    pending::dead(&mut tx, webhook).await?;
    dead_letters::insert(&mut tx, &[(webhook.id, &letter)]).await?;
    tx.commit().await?;
    figures::dead_letters_made(1);
    Ok(())
}
