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

/// The keys that effects are performed with, as `api_keys` names them.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Of the API that replies go by.
    pub(super) own: String,
    /// Of the Meta proxy, where only marks go by it.
    pub(super) by_proxy: Option<String>,
}

/// Kapso refuses the token.
pub(super) async fn token(pool: &PgPool, keys: &Keys) -> sqlx::Result<Verdict> {
    let held = held_since(pool, keys, "token_refused").await?;
    let text = held.map(|(since, what)| {
        let since = minute(since);
        format!(
            "Kapso refuses the token since {since} UTC, and {what}: set KAPSO_API_TOKEN and restart the workers"
        )
    });
    Ok(Verdict::of(text))
}

/// The project has no credits left.
pub(super) async fn credits(pool: &PgPool, keys: &Keys) -> sqlx::Result<Verdict> {
    let held = held_since(pool, keys, "credits_exhausted").await?;
    let text = held.map(|(since, what)| {
        let since = minute(since);
        format!(
            "Kapso's credits are exhausted (HTTP 402) since {since} UTC, and {what}: add credits in Kapso, under \
             Billing; what is not too old by then is sent by itself"
        )
    });
    Ok(Verdict::of(text))
}

/// Since when one of the keys is held for this reason, and what does not happen therefore.
async fn held_since(
    pool: &PgPool,
    keys: &Keys,
    reason: &str,
) -> sqlx::Result<Option<(OffsetDateTime, &'static str)>> {
    let held: Vec<(String, OffsetDateTime)> = sqlx::query_as(
        "SELECT id, held_since FROM api_keys WHERE id = ANY($1) AND hold_reason = $2 AND held_since IS NOT NULL",
    )
    .bind([Some(&keys.own), keys.by_proxy.as_ref()].into_iter().flatten().collect::<Vec<_>>())
    .bind(reason)
    .fetch_all(pool)
    .await?;
    let of = |key: &str| held.iter().find(|(id, _)| id == key).map(|(_, since)| *since);
    let marks = keys.by_proxy.as_deref().and_then(of).map(|since| (since, "messages are not marked as read"));
    Ok(of(&keys.own).map(|since| (since, "nobody is answered")).or(marks))
}
