//! The slow lane: pending webhooks, projected one at a time, so that one that fails or
//! kills the worker costs only itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    dead_letters,
    pending::{self, Claimed},
};
use crate::{
    decode::Undecodable,
    fault::Fault,
    figures,
    outage::{Outages, in_time},
    store::Store,
    wake::before_next_look,
};

/// How often a webhook is tried before it becomes a dead letter.
const MAX_ATTEMPTS: i32 = 3;

/// How often other workers' pending webhooks are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until `stop`; an outage is waited out.
pub async fn run(store: Store, outages: Outages, stop: CancellationToken) {
    let mut projector = Projector { store, owed: None };
    let mut met = outages.met_by("slow lane");
    while !stop.is_cancelled() {
        let pause = match projector.work_one().await {
            Ok(worked) => {
                met.works();
                if worked {
                    continue;
                }
                None
            }
            // Soon enough that what is owed is given back before others draw conclusions.
            Err(outage) => Some(met.failed(&outage).min(LOOK_EVERY)),
        };
        before_next_look(&stop, pause, &projector.store.wake.pending, LOOK_EVERY).await;
    }
    if let Err(outage) = projector.settle().await {
        tracing::warn!(error = %outage, "an attempt that the outage ended counts");
    }
}

struct Projector {
    store: Store,
    /// An attempt that an outage ended and that could not be given back yet.
    owed: Option<Claimed>,
}

impl Projector {
    /// Works on one pending webhook, if there is one. An error is an outage, never the data.
    async fn work_one(&mut self) -> Result<bool, Fault> {
        self.settle().await?;
        let Some(claimed) = in_time(pending::claim(&self.store.pool)).await? else {
            return Ok(false);
        };
        let outcome = attempt(&self.store, &claimed).await;
        if outcome.is_err() {
            self.owed = Some(claimed);
            // At once, where the outage lets it: others may try meanwhile. Else before anything
            // else is claimed.
            self.settle().await?;
        }
        outcome.map(|()| true)
    }

    /// Gives back the attempt that is owed. A worker that dies before it can leaves it counted.
    async fn settle(&mut self) -> Result<(), Fault> {
        if let Some(claimed) = &self.owed {
            in_time(pending::give_back(&self.store.pool, claimed)).await?;
            self.owed = None;
        }
        Ok(())
    }
}

/// One attempt at a webhook: projected, put off, or a dead letter.
async fn attempt(store: &Store, claimed: &Claimed) -> Result<(), Fault> {
    let Claimed { webhook, attempt } = claimed;
    if *attempt > MAX_ATTEMPTS {
        let reason = format!("the worker stopped in each of {MAX_ATTEMPTS} attempts to project it");
        return Ok(in_time(bury(store, claimed, reason)).await?);
    }
    match in_time(store.take_pending(webhook)).await {
        Err(Fault::Data(reason)) if *attempt == MAX_ATTEMPTS => {
            Ok(in_time(bury(store, claimed, reason)).await?)
        }
        Err(Fault::Data(reason)) => {
            tracing::warn!(webhook.id = %webhook.id, attempt, reason, "a webhook could not be projected");
            Ok(in_time(pending::release(&store.pool, webhook)).await?)
        }
        other => other,
    }
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
