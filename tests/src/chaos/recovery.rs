//! Whether all is well again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contract::topology::EVENTS_QUEUE;

use super::ledger::Answer;
use super::scene::Scene;
use crate::wait;

/// What recovers does so within this. A backlog of minutes drains, and lost heartbeats are noticed, well before.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(120);

/// Effects take longer: each is a request of its own, and an outage of minutes leaves thousands.
const EFFECTS_DEADLINE: Duration = Duration::from_secs(600);

/// Webhooks that wait for the slow lane.
const PENDING_WEBHOOKS: &str = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL";

/// Effects that are not settled, but for those that wait behind one whose outcome nobody knows.
const PENDING_EFFECTS: &str = "SELECT count(*) FROM effects WHERE state = 'pending'
    AND (lease IS NOT NULL OR NOT EXISTS (
        SELECT FROM effects unknown WHERE unknown.lane = effects.lane AND unknown.state = 'unknown'))";

/// Effects that have been due for longer than it takes to look for them, and that nobody performs.
const OVERDUE: &str = "SELECT count(*) FROM effects WHERE state = 'pending' AND lease IS NULL
    AND next_at < now() - interval '2 seconds' AND NOT EXISTS (
        SELECT FROM effects open WHERE open.lane = effects.lane
        AND (open.state = 'unknown' OR open.lease IS NOT NULL))";

/// How many missing ids a message names.
const NAMED: usize = 10;

impl Scene {
    /// Waits until every program is ready, a webhook sent now is answered 200, all that was is stored, and the outbox
    /// keeps up. How long that took.
    pub(super) async fn recover(&self) -> Result<Duration> {
        let start = Instant::now();
        wait::until("ingest and both workers to be ready", RECOVERY_DEADLINE, async || -> Result<bool> {
            self.ingest.ready(&self.client).await.context("ingest")?;
            self.workers[0].ready(&self.client).await.context("worker-a")?;
            self.workers[1].ready(&self.client).await.context("worker-b")
        })
        .await?;
        wait::until("a webhook to be answered 200", RECOVERY_DEADLINE, async || -> Result<bool> {
            let (nth, answer) = self.sender.probe().await;
            ensure!(answer == Answer::Status(200), "webhook {nth}: {answer:?}");
            Ok(true)
        })
        .await?;
        self.all_stored("after the fault").await?;
        self.none("effects to be performed as they become due", EFFECTS_DEADLINE, OVERDUE).await?;
        Ok(start.elapsed())
    }

    /// Waits until the queue that was deleted is declared anew, and lets it grow up: a broker that is killed before
    /// would forget it. Until then the road leads round it.
    pub(super) async fn queue_grows_up(&self) -> Result<()> {
        wait::until("the queue to be declared anew", RECOVERY_DEADLINE, async || -> Result<bool> {
            let queues = self.rabbitmq.ctl(&["-q", "--no-table-headers", "list_queues", "name"]).await?;
            ensure!(queues.lines().any(|name| name == EVENTS_QUEUE), "there are {queues:?}");
            Ok(true)
        })
        .await?;
        self.rabbitmq.sync_definitions().await
    }

    /// Waits until a count is 0.
    async fn none(&self, what: &str, deadline: Duration, count: &'static str) -> Result<()> {
        wait::until(what, deadline, async || -> Result<bool> {
            let count: i64 = sqlx::query_scalar(count).fetch_one(&self.pool).await?;
            ensure!(count == 0, "{count} are not");
            Ok(true)
        })
        .await
    }

    /// Waits until all that has been answered 200 by now is in Postgres.
    pub(super) async fn all_stored(&self, when: &str) -> Result<()> {
        let mut waiting = self.ledger.unseen();
        let what = format!("all that was answered 200 to be stored, {when}");
        wait::until(&what, RECOVERY_DEADLINE, async || -> Result<bool> {
            let ids: Vec<Vec<u8>> = waiting.iter().map(|(_, id)| id.as_bytes().to_vec()).collect();
            let stored: Vec<Vec<u8>> =
                sqlx::query_scalar("SELECT DISTINCT id FROM webhooks WHERE id = ANY($1)")
                    .bind(ids)
                    .fetch_all(&self.pool)
                    .await?;
            let stored: HashSet<Vec<u8>> = stored.into_iter().collect();
            self.ledger
                .seen(waiting.iter().filter(|(_, id)| stored.contains(id.as_bytes())).map(|(nth, _)| *nth));
            waiting.retain(|(_, id)| !stored.contains(id.as_bytes()));
            let named: Vec<String> =
                waiting.iter().take(NAMED).map(|(nth, id)| format!("{nth} ({id})")).collect();
            ensure!(waiting.is_empty(), "{} are not: {}", waiting.len(), named.join(", "));
            Ok(true)
        })
        .await
    }

    /// Waits until nothing is pending any more: no webhook in a queue or in the slow lane, no effect but those that
    /// wait behind one whose outcome nobody knows.
    pub(super) async fn settle(&self) -> Result<()> {
        self.all_stored("at the end").await?;
        wait::until("the queues to be empty", RECOVERY_DEADLINE, async || -> Result<bool> {
            let queues = self.rabbitmq.ctl(&["-q", "--no-table-headers", "list_queues", "name", "messages"]);
            let queues = queues.await?;
            ensure!(queues.lines().all(|line| line.ends_with("\t0")), "{queues}");
            Ok(true)
        })
        .await?;
        self.none("the slow lane to be empty", RECOVERY_DEADLINE, PENDING_WEBHOOKS).await?;
        self.none("the effects to be settled", EFFECTS_DEADLINE, PENDING_EFFECTS).await
    }
}
