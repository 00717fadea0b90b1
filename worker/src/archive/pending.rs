//! Pending webhooks: archived, not yet projected.

use contract::envelope::Envelope;
use sqlx::{FromRow, PgConnection, PgPool};

use super::Row;
use crate::event::Dialect;

/// A pending webhook that is being worked on.
pub(super) struct Claimed {
    pub(super) webhook: Envelope,
    /// Which attempt this is, counted from 1.
    pub(super) attempt: i32,
}

/// Takes the next pending webhook, and counts the attempt before anything is done: if the
/// process dies of it, the attempt has been made. Nobody else takes it for 5 seconds: the time
/// until [`lock`] has it. From then on nobody does for as long as the attempt takes, and once
/// the process is dead its lock is gone.
pub(super) async fn claim(pool: &PgPool) -> sqlx::Result<Option<Claimed>> {
    #[derive(FromRow)]
    struct Attempted {
        #[sqlx(flatten)]
        row: Row,
        attempts: i32,
    }
    let attempted: Option<Attempted> = sqlx::query_as(
        "UPDATE webhooks SET attempts = attempts + 1, next_attempt_at = now() + interval '5 seconds'
         WHERE (id, received_at) = (
            SELECT id, received_at FROM webhooks
            WHERE projected_at IS NULL AND dead_at IS NULL AND next_attempt_at <= now()
            ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, kind, received_at, headers, verified_by, body, attempts",
    )
    .fetch_optional(pool)
    .await?;
    let claimed = |it: Attempted| Ok(Claimed { webhook: it.row.webhook()?, attempt: it.attempts });
    attempted.map(claimed).transpose()
}

/// Locks a pending webhook for the transaction that projects it, against [`claim`]. False: it
/// is pending no more.
pub(crate) async fn lock(tx: &mut PgConnection, webhook: &Envelope) -> sqlx::Result<bool> {
    let found: Option<i32> = sqlx::query_scalar(
        "SELECT attempts FROM webhooks WHERE id = $1 AND received_at = $2
            AND projected_at IS NULL AND dead_at IS NULL FOR UPDATE",
    )
    .bind(webhook.id.as_bytes())
    .bind(webhook.received_at)
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// Takes back an attempt that an outage ended: it says nothing about the webhook. Only what was
/// added is subtracted, whoever else has claimed it since.
pub(super) async fn give_back(pool: &PgPool, claimed: &Claimed) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE webhooks SET attempts = GREATEST(attempts - 1, 0),
            next_attempt_at = CASE attempts WHEN $3 THEN now() ELSE next_attempt_at END
         WHERE id = $1 AND received_at = $2 AND projected_at IS NULL AND dead_at IS NULL",
    )
    .bind(claimed.webhook.id.as_bytes())
    .bind(claimed.webhook.received_at)
    .bind(claimed.attempt)
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that a pending webhook has been projected.
pub(crate) async fn projected(
    tx: &mut PgConnection,
    webhook: &Envelope,
    dialect: Option<Dialect>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE webhooks SET projected_at = now(), dialect = $3 WHERE id = $1 AND received_at = $2")
        .bind(webhook.id.as_bytes())
        .bind(webhook.received_at)
        .bind(dialect.map(Dialect::name))
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes that a pending webhook is a dead letter now.
pub(crate) async fn dead(tx: &mut PgConnection, webhook: &Envelope) -> sqlx::Result<()> {
    sqlx::query("UPDATE webhooks SET dead_at = now() WHERE id = $1 AND received_at = $2")
        .bind(webhook.id.as_bytes())
        .bind(webhook.received_at)
        .execute(tx)
        .await?;
    Ok(())
}

/// Lets a webhook whose attempt failed be taken again at once.
pub(super) async fn release(pool: &PgPool, webhook: &Envelope) -> sqlx::Result<()> {
    sqlx::query("UPDATE webhooks SET next_attempt_at = now() WHERE id = $1 AND received_at = $2")
        .bind(webhook.id.as_bytes())
        .bind(webhook.received_at)
        .execute(pool)
        .await?;
    Ok(())
}
