//! Recording how an attempt ended. A reply that went out becomes a message of ours in the
//! same transaction.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    EffectKind, api_key,
    hold::{Key, Standing},
    lease::Leased,
    outcome::Outcome,
    reply::Reply,
};
use crate::project::{self, Lock, ProjectError};

/// Records an outcome. It may come late: an effect whose lease ran out meanwhile is
/// unknown, and then the truth is still better.
pub(super) async fn outcome(
    pool: &PgPool,
    key_id: &str,
    effect: &Leased,
    http_status: Option<u16>,
    (outcome, standing): &(Outcome, Standing),
) -> sqlx::Result<()> {
    let mut lock = Lock::Shared;
    loop {
        let mut tx = pool.begin().await?;
        // The key comes before the effect, as where it is leased.
        let change = api_key::note(&mut tx, key_id, *standing, &effect.token).await?;
        project::lock(&mut tx, lock).await?;
        attempt(&mut tx, effect, http_status, outcome).await?;
        let Some(settled_at) = settle(&mut tx, effect, outcome).await? else {
            // Another attempt has been allowed meanwhile; this one is history.
            return commit(tx, change).await;
        };
        match reply(&mut tx, effect, outcome, settled_at, lock).await {
            Ok(()) => return commit(tx, change).await,
            Err(ProjectError::NeedsExclusive) => {
                tx.rollback().await?;
                lock = Lock::Exclusive;
            }
            Err(ProjectError::Database(error)) => return Err(error),
        }
    }
}

/// What changed about the key is told once it is so.
async fn commit(tx: Transaction<'_, Postgres>, change: Option<(Key, Key)>) -> sqlx::Result<()> {
    tx.commit().await?;
    if let Some((before, after)) = change {
        api_key::tell(&before, &after);
    }
    Ok(())
}

async fn attempt(
    tx: &mut PgConnection,
    effect: &Leased,
    http_status: Option<u16>,
    outcome: &Outcome,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE effect_attempts SET finished_at = now(), http_status = $3, outcome = $4
         WHERE effect_id = $1 AND attempt = $2",
    )
    .bind(effect.id)
    .bind(effect.attempt)
    .bind(http_status.map(i32::from))
    .bind(told(outcome))
    .execute(tx)
    .await?;
    Ok(())
}

/// When the effect was settled, if it was; none where there is nothing to settle any more.
async fn settle(
    tx: &mut PgConnection,
    effect: &Leased,
    outcome: &Outcome,
) -> sqlx::Result<Option<Option<OffsetDateTime>>> {
    let (state, pause) = match outcome {
        Outcome::Done(_) => ("done", 0.0),
        Outcome::Again(pause, _) => ("pending", pause.as_secs_f64()),
        Outcome::Discarded(_) => ("discarded", 0.0),
        Outcome::Unknown(_) => ("unknown", 0.0),
    };
    sqlx::query_scalar(
        "UPDATE effects SET state = $3, lease = NULL, lease_token = NULL, outcome = $4,
            settled_at = CASE WHEN $3 <> 'pending' THEN now() END,
            next_at = now() + make_interval(secs => $5)
         WHERE id = $1 AND attempts = $2 AND state IN ('pending', 'unknown')
         RETURNING settled_at",
    )
    .bind(effect.id)
    .bind(effect.attempt)
    .bind(state)
    .bind(told(outcome))
    .bind(pause)
    .fetch_optional(tx)
    .await
}

fn told(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Again(_, why) | Outcome::Discarded(why) | Outcome::Unknown(why) => why,
    }
}

/// Projects the message that a reply became, as far as the outbox knows it, and keeps what
/// it takes to do so again.
async fn reply(
    tx: &mut PgConnection,
    effect: &Leased,
    outcome: &Outcome,
    settled_at: Option<OffsetDateTime>,
    lock: Lock,
) -> Result<(), ProjectError> {
    let (EffectKind::SendText, Outcome::Done(names), Some(at)) = (effect.kind, outcome, settled_at) else {
        return Ok(());
    };
    if names.is_empty() {
        return Ok(());
    }
    let reply = Reply {
        effect: effect.id,
        names: names.clone(),
        conversation_id: effect.conversation_id.clone(),
        phone_number_id: effect.phone_number_id.clone(),
        recipient: effect.recipient.clone(),
        body: effect.body.clone(),
        at,
    };
    sent(tx, &reply, lock).await
}

/// Projects a reply that went out, and keeps by which names it is known.
pub(super) async fn sent(tx: &mut PgConnection, reply: &Reply, lock: Lock) -> Result<(), ProjectError> {
    project::project(tx, &[reply.told()], lock).await?;
    sqlx::query(
        "UPDATE effects SET sent_names = $3, sent_message_id = COALESCE(
            (SELECT id FROM message_aliases WHERE alias = $2), $2) WHERE id = $1",
    )
    .bind(reply.effect)
    .bind(reply.names.first())
    .bind(&reply.names)
    .execute(tx)
    .await?;
    Ok(())
}
