//! Pending webhooks: archived, not yet projected.

use std::collections::BTreeMap;

use contract::{
    envelope::{Envelope, Hints, WebhookId},
    kind::Kind,
};
use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use crate::event::Dialect;

/// A pending webhook that is being worked on.
pub(super) struct Claimed {
    pub(super) webhook: Envelope,
    /// Which attempt this is, counted from 1.
    pub(super) attempt: i32,
}

/// Takes the next pending webhook, and counts the attempt before anything is done: if the
/// process dies of it, the attempt has been made. Nobody else takes it for a minute.
pub(super) async fn claim(pool: &PgPool) -> sqlx::Result<Option<Claimed>> {
    type Row = (Vec<u8>, String, OffsetDateTime, Json<BTreeMap<String, String>>, String, Vec<u8>, i32);
    let row: Option<Row> = sqlx::query_as(
        "UPDATE webhooks SET attempts = attempts + 1, next_attempt_at = now() + interval '1 minute'
         WHERE (id, received_at) = (
            SELECT id, received_at FROM webhooks
            WHERE projected_at IS NULL AND dead_at IS NULL AND next_attempt_at <= now()
            ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, kind, received_at, headers, verified_by, body, attempts",
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|(id, kind, received_at, Json(headers), verified_by, body, attempt)| {
        let mut hints = Hints::default();
        for (name, value) in headers {
            hints.offer(&name, value.as_bytes());
        }
        // The table's CHECK gives an id its 32 bytes.
        let id = WebhookId::from_bytes(&id)?;
        let webhook = Envelope::recall(id, Kind::new(&kind), received_at, verified_by, hints, body.into());
        Some(Claimed { webhook, attempt })
    }))
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
