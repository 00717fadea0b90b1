//! The table `dead_letters`: what could not be projected, and why.

use contract::envelope::WebhookId;
use sqlx::PgConnection;

use crate::decode::Undecodable;

/// Makes dead letters. One that is open already stays as it is; one that was resolved and
/// fails again is open again.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn insert(tx: &mut PgConnection, letters: &[(WebhookId, &Undecodable)]) -> sqlx::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO dead_letters (webhook_id, item, reason)
         SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::text[])
         ON CONFLICT ON CONSTRAINT one_dead_letter_per_item DO UPDATE
            SET resolved_at = NULL, reason = EXCLUDED.reason, created_at = now()
            WHERE dead_letters.resolved_at IS NOT NULL",
    )
    .bind(letters.iter().map(|(id, _)| id.as_bytes()).collect::<Vec<_>>())
    .bind(letters.iter().map(|(_, letter)| letter.item.as_deref()).collect::<Vec<_>>())
    .bind(letters.iter().map(|(_, letter)| letter.reason.as_str()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
