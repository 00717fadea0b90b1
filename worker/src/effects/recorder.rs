//! The one task of a dispatcher that records outcomes: whatever has ended while the transaction
//! before was under way goes into the next one. Nothing lingers, and under load many share one.

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::sleep,
};

use super::{
    ApiKey,
    dispatcher::AT_ONCE,
    record::{self, Ended, Replies},
};
use crate::{
    fault::Fault,
    outage::{Met, in_time},
    store::Store,
};

/// The room that an attempt takes up until it is recorded.
pub(super) type Slots = (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

/// Records what ends.
pub(super) struct Recorder {
    /// Where.
    pub(super) store: Store,
    /// The key that was called with.
    pub(super) key: ApiKey,
    /// Its part in an outage: what has ended is kept until it is recorded.
    pub(super) met: Met,
}

impl Recorder {
    /// Records until nobody can end any more attempts.
    pub(super) async fn run(mut self, mut ended: mpsc::Receiver<(Ended, Slots)>) {
        let mut group = Vec::new();
        while ended.recv_many(&mut group, AT_ONCE).await > 0 {
            let (group, slots): (Vec<_>, Vec<_>) = group.drain(..).unzip();
            self.record(&group).await;
            drop(slots);
            // There is room again, and their lanes may have more.
            self.store.wake.outbox.notify_one();
        }
    }

    /// Records a group, whatever it takes. One that fails on its data goes one by one, so that
    /// what is wrong costs itself only.
    async fn record(&mut self, group: &[Ended]) {
        let Err(reason) = self.try_record(group, Replies::Projected).await else { return };
        for one in group {
            let alone = std::slice::from_ref(one);
            let Err(reason) = (match group {
                [_] => Err(reason.clone()),
                _ => self.try_record(alone, Replies::Projected).await,
            }) else {
                continue;
            };
            tracing::error!(one.effect.id, reason, "a reply went out, and is not stored as a message");
            if let Err(reason) = self.try_record(alone, Replies::Left).await {
                // Its lease runs out, and then it is unknown.
                tracing::error!(one.effect.id, reason, "an outcome can't be recorded");
            }
        }
    }

    /// Records a group, when the database takes it; or tells what is wrong with it.
    async fn try_record(&mut self, group: &[Ended], replies: Replies) -> Result<(), String> {
        loop {
            match in_time(record::outcomes(&self.store.pool, &self.key, group, replies)).await {
                Ok(()) => {
                    self.met.works();
                    return Ok(());
                }
                Err(Fault::Data(reason)) => return Err(reason),
                Err(outage @ Fault::Outage(_)) => sleep(self.met.failed(&outage)).await,
            }
        }
    }
}
