//! The table `dead_letters`: what could not be projected, and why. [`super::letters`] is how a
//! person looks at it.

use contract::envelope::WebhookId;
use sqlx::PgConnection;

use crate::decode::Undecodable;

/// Makes dead letters. One that is open already gets the reason of today; one that was
/// resolved and fails again is open again.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn insert(tx: &mut PgConnection, letters: &[(WebhookId, &Undecodable)]) -> sqlx::Result<()> {
    const INSERT: &str = "INSERT INTO dead_letters AS old (webhook_id, item, reason)
         SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::text[])
         ON CONFLICT ON CONSTRAINT one_dead_letter_per_item DO UPDATE
            SET resolved_at = NULL, reason = EXCLUDED.reason,
                created_at = CASE WHEN old.resolved_at IS NULL THEN old.created_at ELSE now() END";
    write(tx, letters, INSERT).await
}

/// As [`insert`], where nobody asked for these webhooks by name: what somebody has resolved, and
/// fails for the reason that they saw, stays resolved.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn keep(tx: &mut PgConnection, letters: &[(WebhookId, &Undecodable)]) -> sqlx::Result<()> {
    const KEEP: &str = "INSERT INTO dead_letters AS old (webhook_id, item, reason)
         SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::text[])
         ON CONFLICT ON CONSTRAINT one_dead_letter_per_item DO UPDATE
            SET resolved_at = NULL, reason = EXCLUDED.reason,
                created_at = CASE WHEN old.resolved_at IS NULL THEN old.created_at ELSE now() END
            WHERE old.reason <> EXCLUDED.reason";
    write(tx, letters, KEEP).await
}

async fn write(
    tx: &mut PgConnection,
    letters: &[(WebhookId, &Undecodable)],
    statement: &'static str,
) -> sqlx::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(letters.iter().map(|(id, _)| id.as_bytes()).collect::<Vec<_>>())
        .bind(letters.iter().map(|(_, letter)| letter.item.as_deref()).collect::<Vec<_>>())
        .bind(letters.iter().map(|(_, letter)| letter.reason.as_str()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Resolves the open dead letters of a webhook that has just been projected, but for what
/// still failed; how many.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn resolve(tx: &mut PgConnection, webhook: WebhookId, failed: &[Undecodable]) -> sqlx::Result<u64> {
    // No item is called nothing: that stands for the whole of it.
    let places: Vec<&str> = failed.iter().map(|letter| letter.item.as_deref().unwrap_or_default()).collect();
    let resolved = sqlx::query(
        "UPDATE dead_letters SET resolved_at = now()
         WHERE webhook_id = $1 AND resolved_at IS NULL AND COALESCE(item, '') <> ALL($2)",
    )
    .bind(webhook.as_bytes())
    .bind(places)
    .execute(tx)
    .await?;
    Ok(resolved.rows_affected())
}
