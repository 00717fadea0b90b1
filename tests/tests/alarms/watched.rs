//! A road whose workers look for alarms, and what is asked of whoever is told.

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::wait;

use crate::receiver::Receiver;
use crate::scene::{A_WHILE, PATIENCE, Road, holds};

/// A dead letter, as the slow lane makes one.
pub(crate) const LETTER: &str =
    "INSERT INTO dead_letters (webhook_id, reason) VALUES (decode(repeat('ab', 32), 'hex'), 'planted')";

impl Road {
    /// One whose workers look every second, and tell this receiver.
    pub(crate) async fn watched(receiver: &Receiver) -> Result<Self> {
        let mut road = Self::new().await?;
        road.stage.set("BUZON_ALARM_CHECK_SECONDS", "1");
        road.stage.set("BUZON_ALERT_URL", receiver.url());
        road.stage.set("KAPSO_PLATFORM_URL", road.sim.platform_url());
        road.stage.set("BUZON_PUBLIC_URL", road.stage.webhook_url());
        Ok(road)
    }

    pub(crate) async fn run(&self, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(&self.pool).await?;
        Ok(())
    }

    /// Looks at Kapso and telling are due now, as they would be after hours.
    pub(crate) async fn hours_later(&self) -> Result<()> {
        self.run(
            "UPDATE alarm_looks SET claimed_at = claimed_at - interval '2 hours' WHERE look = 'webhook'",
        )
        .await?;
        self.run("UPDATE alarms SET next_tell_at = now() WHERE next_tell_at IS NOT NULL").await
    }
}

/// Waits until the receiver was told these states, and sees that nothing follows.
pub(crate) async fn becomes(receiver: &Receiver, alarm: &str, states: &[&str]) -> Result<()> {
    wait::until(&format!("{alarm} to be {states:?}"), PATIENCE, async || {
        let told = receiver.states(alarm);
        ensure!(told == states, "{told:?}");
        Ok(true)
    })
    .await?;
    holds(&format!("{alarm} told once"), A_WHILE, async || Ok(receiver.states(alarm) == states)).await
}

pub(crate) fn lines(worker: &Product, text: &str) -> usize {
    worker.log().lines().filter(|line| line.contains(text)).count()
}
