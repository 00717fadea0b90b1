//! The table `dead_letters`: what could not be projected, and why.

use contract::envelope::WebhookId;
use sqlx::PgConnection;

use crate::decode::Undecodable;

/// Makes dead letters; one that is there already stays as it is.
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
         ON CONFLICT ON CONSTRAINT one_dead_letter_per_item DO NOTHING",
    )
    .bind(letters.iter().map(|(id, _)| id.as_bytes()).collect::<Vec<_>>())
    .bind(letters.iter().map(|(_, letter)| letter.item.as_deref()).collect::<Vec<_>>())
    .bind(letters.iter().map(|(_, letter)| letter.reason.as_str()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
