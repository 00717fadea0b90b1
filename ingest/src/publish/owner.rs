//! The task that owns the broker's connection: connects for ever, serves, connects anew.

use std::time::Duration;

use contract::{
    broker::{Broker, BrokerError, retry_pauses},
    health::Health,
    nag::Nag,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    HEALTH_PART, Job, Unconfirmed,
    link::{End, Link},
};
use crate::figures::Figures;

/// How long the goodbye to the broker may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// For so long after the start a broker whose queues have other arguments ends the program. Later the spool is in use,
/// and ingest stays, to take what comes.
const START: Duration = Duration::from_secs(10);

/// A link that lived shorter than this counts as one more failed attempt.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Runs until `stop` is cancelled or no publisher is left.
///
/// # Errors
/// [`BrokerError::Topology`], if the first broker that answers says so, within [`START`].
pub(super) async fn own(
    broker: Broker,
    mut jobs: mpsc::Receiver<Job>,
    health: Health,
    figures: Figures,
    stop: CancellationToken,
) -> Result<(), BrokerError> {
    let mut starting_until = Some(Instant::now() + START);
    let mut attempts = Attempts::new();
    loop {
        let link = tokio::select! {
            link = attempts.connect(&broker, &health, starting_until) => link?,
            () = refuse_all(&mut jobs) => return Ok(()),
            () = stop.cancelled() => return Ok(()),
        };
        let Some(mut link) = link else { return Ok(()) };
        starting_until = None;
        let since = Instant::now();
        tracing::info!("connected to RabbitMQ");
        health.fine(HEALTH_PART);
        figures.broker_connected(true);
        let end = link.serve(&mut jobs, &stop, &health, &figures).await;
        figures.broker_connected(false);
        match end {
            End::Stopped => {
                health.ailing(HEALTH_PART, "stopping");
                if !matches!(timeout(CLOSE_DEADLINE, link.close()).await, Ok(Ok(()))) {
                    tracing::warn!("RabbitMQ did not confirm the end of the connection");
                }
                return Ok(());
            }
            End::Broken(why) => {
                health.ailing(HEALTH_PART, "not connected");
                tracing::warn!(error = %why, "the connection to RabbitMQ is given up; connecting anew");
            }
        }
        if since.elapsed() >= SETTLED_AFTER {
            attempts = Attempts::new();
        } else {
            attempts.wait_first = true;
        }
    }
}

/// Answers every job that comes while there is no connection. Ends when no publisher is left.
async fn refuse_all(jobs: &mut mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        job.fail(Unconfirmed::Away);
    }
}

/// The attempts to connect since the broker was last there for a while.
struct Attempts {
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    wait_first: bool,
    nag: Nag,
}

impl Attempts {
    fn new() -> Self {
        Self { pauses: Box::new(retry_pauses()), wait_first: false, nag: Nag::default() }
    }

    /// Tries until it succeeds. Another topology than ours is an error until `starting_until`, and an outage after it.
    async fn connect(
        &mut self,
        broker: &Broker,
        health: &Health,
        starting_until: Option<Instant>,
    ) -> Result<Option<Link>, BrokerError> {
        loop {
            if self.wait_first {
                // The pauses have no end.
                let Some(pause) = self.pauses.next() else { return Ok(None) };
                sleep(pause).await;
            }
            self.wait_first = true;
            match Link::open(broker).await {
                Ok(link) => return Ok(Some(link)),
                Err(error @ BrokerError::Topology(_))
                    if starting_until.is_some_and(|until| Instant::now() < until) =>
                {
                    return Err(error);
                }
                Err(error) => report(&error, health, &mut self.nag),
            }
        }
    }
}

fn report(error: &BrokerError, health: &Health, nag: &mut Nag) {
    // Whoever asks for readiness is told no addresses and no names.
    let brief = match error {
        BrokerError::Topology(_) => "the broker has queues of ours with other arguments (see the log)",
        BrokerError::Deadline | BrokerError::Amqp(_) => "not connected",
    };
    health.ailing(HEALTH_PART, brief);
    let error = error.to_string();
    if nag.is_due(&error, std::time::Instant::now()) {
        tracing::warn!(%error, "can't connect to RabbitMQ; trying for ever");
    }
}
