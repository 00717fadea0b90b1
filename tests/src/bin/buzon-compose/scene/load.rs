//! Under load: workers come and go, every service is restarted and killed, all of it is stopped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::wait;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Scene;
use crate::compose::Container;
use crate::place::PROJECT;
use crate::{say, seconds};

/// What is struck, in this order.
const STRUCK: [&str; 4] = ["rabbitmq", "postgres", "ingest", "worker"];

/// How long webhooks come in between two strikes.
const CALM: Duration = Duration::from_secs(5);

/// How long the engine may take to start what was killed.
const RESTARTED: Duration = Duration::from_secs(60);

/// What a program is killed with after its grace, as an exit code: 128 and SIGKILL.
const KILLED: i64 = 137;

/// An image to kill from.
const TOOLS: &str = "debian:12-slim";

impl Scene<'_> {
    /// All of it.
    pub(crate) async fn load(&self, rate: f64) -> Result<()> {
        let stop = CancellationToken::new();
        let load = tokio::spawn(self.sender.clone().load(rate, stop.clone()));
        let struck = self.strike().await;
        stop.cancel();
        load.await??;
        struck?;
        say(&format!("   {}", self.book.said()));
        Ok(())
    }

    async fn strike(&self) -> Result<()> {
        sleep(CALM).await;
        for workers in [4, 1] {
            self.timed(&format!("workers: {workers}"), self.scale(workers)).await?;
        }
        for service in STRUCK {
            self.timed(&format!("restart {service}"), self.restart(service)).await?;
            self.timed(&format!("kill -9 {service}"), self.kill(service)).await?;
        }
        self.timed("stop, and start again", self.stop()).await
    }

    /// Tells how long until all was well again, and how many webhooks were taken meanwhile.
    async fn timed(&self, what: &str, strike: impl Future<Output = Result<()>>) -> Result<()> {
        let (start, before) = (Instant::now(), self.book.accepted());
        strike.await.with_context(|| what.to_owned())?;
        let taken = self.book.accepted() - before;
        say(&format!("== {what}: {}, {taken} webhooks answered 200 meanwhile", seconds(start.elapsed())));
        sleep(CALM).await;
        Ok(())
    }

    async fn scale(&self, workers: u32) -> Result<()> {
        self.compose.up(workers).await?;
        self.compose.healthy("worker", usize::try_from(workers)?).await?;
        if workers > 1 {
            self.all_work(workers).await?;
        }
        Ok(())
    }

    /// Each of them consumes.
    async fn all_work(&self, workers: u32) -> Result<()> {
        let list = ["rabbitmqctl", "-q", "list_connections", "peer_host", "--no-table-headers"];
        wait::until("every worker to be connected", RESTARTED, async || -> Result<bool> {
            let peers = self.compose.inside("rabbitmq", &list).await?;
            let mut hosts: Vec<&str> = peers.lines().map(str::trim).collect();
            hosts.sort_unstable();
            hosts.dedup();
            // And ingest.
            ensure!(hosts.len() == usize::try_from(workers)? + 1, "connected: {hosts:?}");
            Ok(true)
        })
        .await
    }

    async fn restart(&self, service: &str) -> Result<()> {
        let before = self.compose.one(service).await?;
        self.compose.call(&["restart", service]).await?;
        self.anew(&before).await
    }

    /// From outside: what the engine kills it does not start again, as a person would not want it.
    async fn kill(&self, service: &str) -> Result<()> {
        let before = self.compose.one(service).await?;
        let pid = before.pid();
        ensure!(pid > 1, "{service} does not run");
        let kill = format!("kill -9 {pid}");
        let label = format!("com.docker.compose.project={PROJECT}");
        let args = ["run", "--rm", "--pid", "host", "--network", "none", "--label", &label, TOOLS];
        self.place.engine.docker(args.iter().chain(&["sh", "-c", &kill])).await?;
        self.anew(&before).await
    }

    /// It has been started anew, and is well.
    async fn anew(&self, before: &Container) -> Result<()> {
        let service = before.service();
        wait::until(&format!("{service} to be started anew"), RESTARTED, async || -> Result<bool> {
            sleep(Duration::from_millis(200)).await;
            let now = self.compose.one(service).await?;
            ensure!(now.id() == before.id(), "it is another container");
            Ok(now.started() != before.started() && now.pid() > 0)
        })
        .await?;
        self.compose.healthy(service, 1).await
    }

    /// `stop` while webhooks come in: everything ends by itself, in its grace. Then all of it comes up again.
    async fn stop(&self) -> Result<()> {
        let start = Instant::now();
        // Not the simulator: it would forget what it has taken.
        self.compose.call(&["stop", "ingest", "worker", "rabbitmq", "postgres"]).await?;
        let took = start.elapsed();
        for service in STRUCK {
            let container = self.compose.one(service).await?;
            let (code, state) = (container.exit_code(), container.state());
            ensure!(state == "exited" && code != KILLED, "{service} is {state}, with exit code {code}");
            // RabbitMQ has a code of its own.
            let ours = ["ingest", "worker"].contains(&service);
            ensure!(!ours || code == 0, "{service} ended with {code}");
        }
        say(&format!("   all stopped within {}", seconds(took)));
        self.up().await
    }
}
