//! Our numbers: the one that is configured, and those that we have seen.

use std::collections::BTreeSet;

use sqlx::PgPool;

/// All of them, as Meta names them. Every conversation and every lane of a number names it;
/// the messages do too, and are too many to be asked.
pub(crate) async fn ours(pool: &PgPool, configured: Option<&str>) -> sqlx::Result<BTreeSet<String>> {
    let seen: Vec<String> = sqlx::query_scalar(
        "SELECT phone_number_id FROM conversations WHERE phone_number_id IS NOT NULL
         UNION SELECT phone_number_id FROM lanes WHERE phone_number_id IS NOT NULL",
    )
    .fetch_all(pool)
    .await?;
    Ok(seen.into_iter().chain(configured.map(str::to_owned)).collect())
}
