//! The dispatcher: lease, perform, record.

use std::{sync::Arc, time::Duration};

use contract::broker::retry_pauses;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EffectKind,
    lease::{self, Leased},
    outcome::{Outcome, judge},
    record,
};
use crate::{
    figures,
    kapso::{Answer, Client, REQUEST_TIMEOUT, Target},
    store::Store,
    wake::before_next_look,
};

/// How many requests a worker has under way at the most.
const AT_ONCE: usize = 16;

/// How often what other workers owe, and what has become due, is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Performs effects until `stop`, and then finishes those under way.
pub async fn run(store: Store, client: Client, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let under_way = TaskTracker::new();
    let mut pauses = retry_pauses();
    while !stop.is_cancelled() {
        let pause = match dispatch(&store, &client, &slots, &under_way).await {
            Ok(0) => None,
            Ok(_) => {
                pauses = retry_pauses();
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %error, "the dispatcher waits");
                pauses.next()
            }
        };
        before_next_look(&stop, pause, &store.wake.outbox, LOOK_EVERY).await;
    }
    under_way.close();
    under_way.wait().await;
}

/// Starts what is due and has a slot; how much that was.
async fn dispatch(
    store: &Store,
    client: &Client,
    slots: &Arc<Semaphore>,
    under_way: &TaskTracker,
) -> sqlx::Result<usize> {
    lease::sweep(&store.pool).await?;
    let free = i64::try_from(slots.available_permits()).unwrap_or(0);
    if free == 0 {
        return Ok(0);
    }
    let leased = lease::take(&store.pool, free, store.policy().book.guard).await?;
    let count = leased.len();
    for effect in leased {
        // Only this loop takes permits, and it has just counted the free ones.
        let Ok(permit) = Arc::clone(slots).try_acquire_owned() else { break };
        let (store, client) = (store.clone(), client.clone());
        under_way.spawn(async move {
            perform(&store, &client, &effect).await;
            drop(permit);
            // Its lane may have more.
            store.wake.outbox.notify_one();
        });
    }
    Ok(count)
}

/// One attempt, from its request to its record.
async fn perform(store: &Store, client: &Client, effect: &Leased) {
    let answer = if effect.left() > REQUEST_TIMEOUT {
        request(client, effect).await
    } else {
        Answer::NotSent("the lease was too short for a request".to_owned())
    };
    let outcome = judge(effect.kind, effect.attempt, &answer, rand::random());
    figures::effect_attempted(effect.kind.name(), outcome.name());
    match &outcome {
        Outcome::Done(_) => {
            tracing::info!(effect.id, effect.kind = effect.kind.name(), effect.attempt, "done");
        }
        Outcome::Again(_, why) | Outcome::Discarded(why) | Outcome::Unknown(why) => {
            let (kind, outcome) = (effect.kind.name(), outcome.name());
            tracing::warn!(effect.id, effect.kind = kind, effect.attempt, outcome, why, "not done");
        }
    }
    let mut pauses = retry_pauses();
    while let Err(error) = record::outcome(&store.pool, effect, answer.status(), &outcome).await {
        tracing::warn!(effect.id, error = %error, "an outcome waits to be recorded");
        sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// What can't be addressed is refused when it is owed; it would not be sent here either.
async fn request(client: &Client, effect: &Leased) -> Answer {
    let target = Target {
        message_id: &effect.message_id,
        kapso_message_id: effect.kapso_message_id.as_deref(),
        conversation_id: effect.conversation_id.as_deref(),
        phone_number_id: effect.phone_number_id.as_deref(),
        recipient: effect.recipient.as_deref(),
    };
    match (effect.kind, &effect.body) {
        (EffectKind::SendText, Some(text)) => client.send_text(effect.id, target, text).await,
        (EffectKind::SendText, None) => Answer::NotSent("the effect has no text".to_owned()),
        (EffectKind::MarkRead, _) => client.mark_read(target).await,
    }
}
