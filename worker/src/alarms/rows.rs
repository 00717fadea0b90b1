//! What our own tables say.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::Verdict;
use crate::tools::screen::{count, minute};

/// Dead letters that nobody has settled.
pub(super) async fn dead_letters(pool: &PgPool) -> sqlx::Result<Verdict> {
    let (open, oldest): (i64, Option<OffsetDateTime>) =
        sqlx::query_as("SELECT count(*), min(created_at) FROM dead_letters WHERE resolved_at IS NULL")
            .fetch_one(pool)
            .await?;
    let text = oldest.map(|oldest| {
        format!(
            "{} unresolved, the oldest since {} UTC: worker dead-letters list",
            count(open, "dead letter is", "dead letters are"),
            minute(oldest)
        )
    });
    Ok(Verdict::of(text))
}

/// Kapso refuses the key that effects are performed with.
pub(super) async fn token(pool: &PgPool, key_id: &str) -> sqlx::Result<Verdict> {
    let since: Option<OffsetDateTime> =
        sqlx::query_scalar("SELECT held_since FROM api_keys WHERE id = $1 AND hold = 'token_refused'")
            .bind(key_id)
            .fetch_optional(pool)
            .await?
            .flatten();
    let text = since.map(|since| {
        format!(
            "Kapso refuses the token since {} UTC, and nobody is answered: set KAPSO_API_TOKEN and restart the workers",
            minute(since)
        )
    });
    Ok(Verdict::of(text))
}
