//! The archive's partitions, one for each month, made before they are needed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sqlx::PgPool;
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
            sqlx::query("SELECT ensure_webhooks_partition($1)").bind(at).execute(pool).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(month);
        }
        Ok(())
    }

    fn known(&self, month: (i32, Month)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&month)
    }
}
