//! What ingest has taken without a broker is on a volume: it outlives the containers.

use anyhow::{Result, ensure};

use super::Scene;

/// How many webhooks come while there is no broker.
const WITHOUT_BROKER: usize = 50;

impl Scene<'_> {
    /// The broker is stopped, webhooks come, everything goes down and comes up again.
    pub(crate) async fn spool(&mut self) -> Result<String> {
        // What has been taken before is done with: the simulator forgets its replies when it goes.
        self.judge.settle(&self.book, &self.replies).await?;
        self.compose.call(&["stop", "rabbitmq"]).await?;
        for _ in 0..WITHOUT_BROKER {
            self.sender.send_one().await?;
        }
        let archived = self.judge.rows("SELECT count(*) FROM webhooks").await?;
        self.forget_simulator().await?;
        self.compose.call(&["--profile", "dev", "down", "--timeout", "30"]).await?;
        ensure!(self.compose.containers("").await?.is_empty(), "`down` has left containers");
        self.up().await?;
        self.judge.settle(&self.book, &self.replies).await?;
        let after = self.judge.rows("SELECT count(*) FROM webhooks").await?;
        Ok(format!(
            "{WITHOUT_BROKER} webhooks taken without a broker; archived {archived:?} before, {after:?} after"
        ))
    }

    /// Notes what the simulator has taken, before it goes.
    pub(super) async fn forget_simulator(&mut self) -> Result<()> {
        for (place, times) in self.judge.replies().await? {
            *self.replies.entry(place).or_default() += times;
        }
        Ok(())
    }
}
