//! Statistics of tables that grow fast.
//!
//! Postgres plans by what it last counted, keeps the plans of prepared statements, and counts anew once a minute at the
//! earliest (`autovacuum_naptime`). Within the first minute of a backlog a table grows from nothing to more than a
//! hundred thousand rows, and the plans of an empty one read all of them again and again. So whatever has more than
//! doubled is counted at once: a few times in the life of a table, and then the autovacuum is soon enough.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::outage::in_time;

/// How often it is looked. Postgres' own count of what was written is a second late.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The tables that rows are looked up in by more than the key of an insert.
const TABLES: [&str; 9] = [
    "contacts",
    "contact_aliases",
    "conversations",
    "messages",
    "message_aliases",
    "message_statuses",
    "lanes",
    "effects",
    "effect_attempts",
];

/// Those that have more than doubled since they were counted, that we may count, and that nobody is counting now.
/// Smaller ones are read as fast in any way.
const GROWN: &str =
    "SELECT pg_class.relname::text FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid
     WHERE schemaname = current_schema() AND pg_class.relname = ANY($1) AND pg_has_role(relowner, 'USAGE')
     AND n_mod_since_analyze > 1000 AND n_mod_since_analyze > reltuples
     AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze counting WHERE counting.relid = pg_class.oid)";

/// Counts until `stop`.
pub async fn keep(pool: PgPool, stop: CancellationToken) {
    let looking = async {
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(error) = in_time(count_grown(&pool)).await {
                // Whoever stores will tell of an outage, and without this it is only slower.
                tracing::debug!(error = %error, "tables that grew are not counted");
            }
        }
    };
    stop.run_until_cancelled(looking).await;
}

async fn count_grown(pool: &PgPool) -> sqlx::Result<()> {
    let grown: Vec<String> = sqlx::query_scalar(GROWN).bind(TABLES.as_slice()).fetch_all(pool).await?;
    // One after the other, and none that another worker is at.
    for table in TABLES.iter().filter(|table| grown.iter().any(|grown| grown == *table)) {
        sqlx::query(AssertSqlSafe(format!("ANALYZE (SKIP_LOCKED) {table}"))).execute(pool).await?;
        tracing::debug!(table, "has more than doubled: counted");
    }
    Ok(())
}
