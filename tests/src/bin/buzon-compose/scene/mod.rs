//! What happens in a run, one part after the other.

mod containers;
mod load;
mod public;
mod spool;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;

use crate::book::Book;
use crate::compose::Compose;
use crate::place::Place;
use crate::sender::Sender;
use crate::verdict::{Judge, Replies};

/// How long one webhook may take to its reply.
const ANSWERED: Duration = Duration::from_secs(60);

/// What runs when all is up, and nothing is scaled.
const SERVICES: [&str; 5] = ["rabbitmq", "postgres", "ingest", "worker", "kapso-sim"];

/// The project while it runs.
pub(crate) struct Scene<'a> {
    place: &'a Place,
    compose: &'a Compose,
    book: Arc<Book>,
    sender: Sender,
    judge: Judge<'a>,
    /// What simulators that are gone had taken.
    replies: Replies,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(place: &'a Place) -> Result<Self> {
        let book = Arc::new(Book::default());
        let sender = Sender::to(place.ports.ingest, Arc::clone(&book))?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let sim = format!("http://127.0.0.1:{}", place.ports.sim);
        let judge = Judge { compose: &place.compose, sim, client };
        Ok(Self { place, compose: &place.compose, book, sender, judge, replies: HashMap::new() })
    }

    /// Everything starts, in order, and becomes healthy.
    pub(crate) async fn up(&self) -> Result<()> {
        self.compose.up(1).await?;
        for service in SERVICES {
            self.compose.healthy(service, 1).await?;
        }
        let migrate = self.compose.one("migrate").await?;
        ensure!(migrate.exit_code() == 0, "migrate ended with {}", migrate.exit_code());
        Ok(())
    }

    /// One question is stored, and answered.
    pub(crate) async fn one_webhook(&self) -> Result<()> {
        let mut asked = false;
        while !asked {
            asked = self.sender.send_one().await?.accepted.asks_in.is_some();
        }
        wait::until("the reply", ANSWERED, async || -> Result<bool> {
            Ok(!self.judge.replies().await?.is_empty())
        })
        .await
    }

    /// The doctor finds nothing wrong.
    pub(crate) async fn doctor(&self) -> Result<String> {
        let said = self.compose.end(&["run", "--rm", "-T", "doctor"]).await?;
        ensure!(said.code == Some(0), "doctor ended with {:?}:\n{}", said.code, said.tail());
        let marks = |mark: &str| said.out.lines().filter(|line| line.trim_start().starts_with(mark)).count();
        ensure!(marks("✓") > 10, "the doctor looked at little:\n{}", said.tail());
        Ok(format!("{} things are fine, {} worth a look", marks("✓"), marks("!")))
    }

    /// The broker keeps within what `deploy/rabbitmq.conf` says.
    pub(crate) async fn limits(&self) -> Result<String> {
        let mut said = Vec::new();
        for (asked, wanted) in [
            (
                "rabbit_vm:memory(), vm_memory_monitor:get_vm_memory_high_watermark().",
                "{absolute,\"512MiB\"}",
            ),
            ("rabbit_disk_monitor:get_disk_free_limit().", "2000000000"),
            ("application:get_env(ra, wal_max_size_bytes).", "{ok,67108864}"),
        ] {
            let answer = self.compose.inside("rabbitmq", &["rabbitmqctl", "eval", asked]).await?;
            ensure!(answer.trim() == wanted, "{asked} is {answer}, not {wanted}");
            said.push(answer.trim().to_owned());
        }
        Ok(said.join(", "))
    }

    /// Looks for all that was sent in the run.
    pub(crate) async fn judge(&self) -> Result<String> {
        self.judge.settle(&self.book, &self.replies).await
    }
}
