//! The archive's partitions, one for each month, made before they are needed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sqlx::{PgExecutor, PgPool};
use time::{Month, OffsetDateTime, UtcOffset};

/// A month after $1.
macro_rules! next_month {
    () => {
        "($1 AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'"
    };
}

/// The months whose partition is known to be there.
#[derive(Default)]
pub struct Partitions(Mutex<HashSet<(i32, Month)>>);

impl Partitions {
    /// Makes sure that webhooks received at these times have a place.
    ///
    /// # Errors
    /// When Postgres refuses or is away.
    pub async fn ensure(
        &self,
        pool: &PgPool,
        times: impl Iterator<Item = OffsetDateTime>,
    ) -> sqlx::Result<()> {
        for at in times {
            let at = at.to_offset(UtcOffset::UTC);
            let month = (at.year(), at.month());
            if self.known(month) {
                continue;
            }
            sqlx::query("SELECT ensure_webhooks_partition($1)").bind(at).execute(pool).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(month);
            if let Err(error) = ensure_next(pool, at).await {
                tracing::warn!(%error, "the archive has no partition for next month yet; it is made when it is needed");
            }
        }
        Ok(())
    }

    /// Takes no month for granted any more: somebody may have dropped one.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, month: (i32, Month)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&month)
    }
}

/// Makes sure of the partition of a time, and of that of the month after.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn ensure_from(database: impl PgExecutor<'_>, at: OffsetDateTime) -> sqlx::Result<()> {
    const ENSURE: &str =
        concat!("SELECT ensure_webhooks_partition($1), ensure_webhooks_partition(", next_month!(), ")");
    sqlx::query(ENSURE).bind(at).execute(database).await.map(drop)
}

/// Makes sure of the month after, so that at its turn nobody waits for a table to be made; if that takes no time.
async fn ensure_next(pool: &PgPool, at: OffsetDateTime) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '1s'").execute(&mut *tx).await?;
    sqlx::query(concat!("SELECT ensure_webhooks_partition(", next_month!(), ")"))
        .bind(at)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}
