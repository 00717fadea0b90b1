//! The archive's partitions, one for each month, made before they are needed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sqlx::{PgExecutor, PgPool};
use time::{Month, OffsetDateTime, UtcOffset};

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
            ensure_from(pool, at).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(month);
        }
        Ok(())
    }

    fn known(&self, month: (i32, Month)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&month)
    }
}

/// Makes sure of the partition of a time, and of that of the month after: at the turn of a
/// month nobody waits for a table to be made.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn ensure_from(database: impl PgExecutor<'_>, at: OffsetDateTime) -> sqlx::Result<()> {
    const ENSURE: &str = "SELECT ensure_webhooks_partition($1), ensure_webhooks_partition(
        ($1 AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC')";
    sqlx::query(ENSURE).bind(at).execute(database).await.map(drop)
}
