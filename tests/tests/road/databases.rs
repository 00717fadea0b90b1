//! Holding the database up at a known point, so that a test can strike there.

use anyhow::{Result, ensure};
use harness::wait;
use sqlx::{Postgres, Transaction};

use crate::scene::{PATIENCE, Road};

/// While it lives, every projection waits at its first message.
pub(crate) struct Barrier(Transaction<'static, Postgres>);

impl Barrier {
    pub(crate) async fn lift(self) -> Result<()> {
        Ok(self.0.rollback().await?)
    }
}

impl Road {
    /// Lets no projection pass from now on; the archive stays open.
    pub(crate) async fn barrier(&self) -> Result<Barrier> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
        Ok(Barrier(tx))
    }

    /// Waits until so many transactions stand at the barrier.
    pub(crate) async fn held_up(&self, transactions: i64) -> Result<()> {
        wait::until("a transaction at the barrier", PATIENCE, async || {
            let held = self
                .count(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted
                     AND relation = 'messages'::regclass AND pg_stat_activity.datname = current_database()",
                )
                .await?;
            ensure!(held >= transactions, "{held} of {transactions}");
            Ok(true)
        })
        .await
    }
}
