//! How each fault is done. When it returns, the cause is gone.

use std::time::Duration;

use anyhow::{Result, ensure};
use contract::topology::EVENTS_QUEUE;
use kapso_sim::{Fault as ApiFault, Outcome, Reply, Times};
use tokio::time::sleep;

use super::fault::{Fault, Link, Target};
use super::plan::Strike;
use super::scene::Scene;

/// Between two cuts of one fault: time for a connection to come back and be in use.
const BETWEEN_CUTS: Duration = Duration::from_millis(700);

/// How long Kapso takes when nothing is wrong: so that there are requests under way to be struck.
const USUAL: Duration = Duration::from_millis(50);

/// A slow Kapso, and still within the patience of the worker's client.
const SLOW: Duration = Duration::from_secs(2);

impl Scene {
    /// Lets one fault strike.
    pub(super) async fn strike(&mut self, strike: &Strike) -> Result<()> {
        match strike.fault {
            Fault::Kill(target) => self.kill(target, strike.hold).await,
            Fault::Terminate(target) => self.terminate(target).await,
            Fault::Stop(target) => self.stop_server(target, strike.hold).await,
            Fault::Block => {
                self.rabbitmq.block().await?;
                self.hold(strike.hold).await;
                self.rabbitmq.unblock().await
            }
            Fault::KillIngestWithoutRabbitMq => {
                self.rabbitmq.stop().await?;
                self.hold(strike.hold / 2).await;
                self.ingest.kill().await;
                self.hold(strike.hold / 2).await;
                self.rabbitmq.restart().await
            }
            Fault::Cut(link) => self.cut(link, strike.hold).await,
            Fault::Stall(link) => {
                self.proxy(link)?.stall();
                self.hold(strike.hold).await;
                self.proxy(link)?.resume();
                Ok(())
            }
            Fault::DeleteQueue => self.delete_queue().await,
            Fault::FillDisk => {
                self.rabbitmq.stop().await?;
                self.disk.fill().await?;
                self.hold(strike.hold).await;
                self.disk.free();
                self.rabbitmq.restart().await
            }
            Fault::KapsoFails => self.kapso(Outcome::Answer(Reply::server_error(500)), strike.hold).await,
            Fault::KapsoIsSlow => self.kapso(Outcome::Delay(SLOW), strike.hold).await,
            Fault::RestartEverything => self.restart_everything().await,
        }
    }

    /// It lasts; less long where somebody wants the run to end.
    async fn hold(&self, duration: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(duration) => {}
        }
    }

    async fn kill(&mut self, target: Target, hold: Duration) -> Result<()> {
        match target {
            Target::Ingest => self.ingest.kill().await,
            Target::Worker(nth) => self.workers[nth % 2].kill().await,
            Target::Workers => {
                tokio::join!(self.workers[0].kill(), self.workers[1].kill());
            }
            Target::Postgres => {
                self.postgres.kill();
                self.hold(hold).await;
                self.postgres.restart().await?;
            }
            Target::RabbitMq => {
                self.rabbitmq.kill();
                self.hold(hold).await;
                self.rabbitmq.restart().await?;
            }
        }
        Ok(())
    }

    async fn terminate(&self, target: Target) -> Result<()> {
        match target {
            Target::Ingest => self.ingest.terminate().await,
            Target::Worker(nth) => self.workers[nth % 2].terminate().await,
            Target::Workers => {
                tokio::join!(self.workers[0].terminate(), self.workers[1].terminate());
            }
            Target::Postgres | Target::RabbitMq => ensure!(false, "a server is stopped, not restarted"),
        }
        Ok(())
    }

    async fn stop_server(&mut self, target: Target, hold: Duration) -> Result<()> {
        match target {
            Target::Postgres => {
                self.postgres.stop().await?;
                self.hold(hold).await;
                self.postgres.restart().await
            }
            Target::RabbitMq => {
                self.rabbitmq.stop().await?;
                self.hold(hold).await;
                self.rabbitmq.restart().await
            }
            _ => self.terminate(target).await,
        }
    }

    async fn cut(&self, link: Link, hold: Duration) -> Result<()> {
        let cuts = hold.as_millis() / BETWEEN_CUTS.as_millis();
        for _ in 0..=cuts {
            self.proxy(link)?.cut().await;
            self.hold(BETWEEN_CUTS).await;
        }
        Ok(())
    }

    /// The broker would forget what lies in the queue: nothing that was answered 200 may, and nothing is on its way.
    async fn delete_queue(&mut self) -> Result<()> {
        let silence = self.sender.silence().await;
        self.all_stored("before the queue is deleted").await?;
        self.rabbitmq.ctl(&["delete_queue", EVENTS_QUEUE]).await?;
        drop(silence);
        Ok(())
    }

    async fn kapso(&self, outcome: Outcome, hold: Duration) -> Result<()> {
        self.sim.clear_faults();
        self.sim.fault(ApiFault::next_call(outcome).times(Times::Chance(1.0)));
        self.hold(hold).await;
        self.usual_kapso();
        Ok(())
    }

    /// From now on Kapso answers as it usually does.
    pub(super) fn usual_kapso(&self) {
        self.sim.clear_faults();
        self.sim.fault(ApiFault::next_call(Outcome::Delay(USUAL)).times(Times::Chance(1.0)));
    }

    /// The first to be stopped is the first of the road, as `docker compose stop` does it.
    async fn restart_everything(&mut self) -> Result<()> {
        self.ingest.stop().await;
        tokio::join!(self.workers[0].stop(), self.workers[1].stop());
        self.rabbitmq.stop().await?;
        self.postgres.stop().await?;
        tokio::try_join!(self.postgres.restart(), self.rabbitmq.restart())?;
        self.ingest.wake().await;
        tokio::join!(self.workers[0].wake(), self.workers[1].wake());
        Ok(())
    }
}
