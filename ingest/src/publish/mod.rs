//! The publisher: says of each envelope whether the broker has it for good.
//!
//! Handlers hold a [`Publisher`], a cheap handle. One task owns the connection and its
//! only confirm channel ([`owner`]); handlers and owner meet in a bounded queue of jobs,
//! and each job is answered through a way of its own. lapin takes a message's delivery
//! tag and queues its frames in two steps, so that two publishers on one channel could
//! get each other's confirms: hence one owner.

mod flight;
mod link;
mod owner;

use bytes::Bytes;
use contract::{
    broker::{Broker, BrokerError},
    envelope::Envelope,
    health::Health,
};
use lapin::{BasicProperties, types::ShortString};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::figures::Figures;

/// The name of the publisher in the process's health.
pub const HEALTH_PART: &str = "broker";

/// The most messages that wait for their confirm at once, and the most jobs that wait for a
/// place among them. lapin walks all that are in flight for each confirm of several.
const WINDOW: usize = 1024;

/// Why the broker is not known to have an envelope. It may have it nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconfirmed {
    /// There is no connection now.
    #[error("the broker is away")]
    Away,
    /// The broker takes no messages now.
    #[error("the broker is blocked by an alarm")]
    Blocked,
    /// No confirm came in time.
    #[error("the broker did not confirm in time")]
    Late,
    /// The broker said no: a full queue, or nowhere to route to.
    #[error("the broker refused the message")]
    Refused,
    /// The connection went down while the message was under way.
    #[error("the connection to the broker was lost")]
    Lost,
}

impl Unconfirmed {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Away, Self::Blocked, Self::Late, Self::Refused, Self::Lost];

    /// The reason in one word, for figures.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Blocked => "blocked",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

/// An envelope on its way to the broker, and who waits for it.
struct Job {
    body: Bytes,
    routing_key: ShortString,
    properties: BasicProperties,
    deadline: Instant,
    answer: oneshot::Sender<Result<(), Unconfirmed>>,
}

impl Job {
    fn fail(self, why: Unconfirmed) {
        // Nobody listens when the request is gone or past its deadline.
        let _ = self.answer.send(Err(why));
    }
}

/// A handle for publishing; clones share one connection.
#[derive(Clone)]
pub struct Publisher {
    jobs: mpsc::Sender<Job>,
    figures: Figures,
}

impl Publisher {
    /// Publishes an envelope and waits until the broker has confirmed *and routed* it.
    ///
    /// Dropping the future leaves the message either published or not.
    ///
    /// # Errors
    /// [`Unconfirmed`], at `deadline` at the latest.
    pub async fn publish(&self, envelope: &Envelope, deadline: Instant) -> Result<(), Unconfirmed> {
        let begun = Instant::now();
        let outcome = self.attempt(envelope, deadline).await;
        self.figures.published(outcome, begun.elapsed());
        outcome
    }

    /// As [`Publisher::publish`], for one that is counted elsewhere.
    pub(crate) async fn attempt(&self, envelope: &Envelope, deadline: Instant) -> Result<(), Unconfirmed> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            body: envelope.body.clone(),
            routing_key: envelope.kind.as_str().into(),
            properties: envelope.properties(),
            deadline,
            answer,
        };
        let outcome = timeout_at(deadline, async {
            // Both fail only when the owner has stopped.
            self.jobs.send(job).await.map_err(|_| Unconfirmed::Away)?;
            answered.await.map_err(|_| Unconfirmed::Lost)?
        });
        outcome.await.unwrap_or(Err(Unconfirmed::Late))
    }
}

/// The task that owns the connection.
pub struct Owner {
    task: JoinHandle<Result<(), BrokerError>>,
    stop: CancellationToken,
}

impl Owner {
    /// Takes no more jobs, waits for the confirms that are still due, and closes the connection.
    ///
    /// # Errors
    /// When it could not begin its work: see [`start`].
    pub async fn stop(self) -> Result<(), BrokerError> {
        self.stop.cancel();
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the publisher's task failed");
            Ok(())
        })
    }
}

/// Starts the owner, which connects for ever, and gives a handle to it. When the first broker
/// that answers has our queues with other arguments, at a start, waiting does not help: it cancels
/// `everything` and ends with that error. Found later, it is told and waited out.
///
/// Must run inside the main Tokio runtime, never inside an actix worker: lapin's tasks live
/// where it is connected from.
#[must_use]
pub fn start(
    broker: Broker,
    health: Health,
    figures: Figures,
    everything: CancellationToken,
) -> (Publisher, Owner) {
    let (jobs, queue) = mpsc::channel(WINDOW);
    let stop = CancellationToken::new();
    let owning = owner::own(broker, queue, health, figures.clone(), stop.clone());
    let task = tokio::spawn(async move { owning.await.inspect_err(|_| everything.cancel()) });
    (Publisher { jobs, figures }, Owner { task, stop })
}

/// A publisher whose broker answers every message in the same way.
#[cfg(test)]
pub(crate) fn always(outcome: Result<(), Unconfirmed>) -> Publisher {
    let (jobs, mut queue) = mpsc::channel::<Job>(1);
    tokio::spawn(async move {
        while let Some(job) = queue.recv().await {
            let _ = job.answer.send(outcome);
        }
    });
    Publisher { jobs, figures: Figures::register() }
}

/// A publisher whose broker never answers.
#[cfg(test)]
pub(crate) fn silent() -> Publisher {
    let (jobs, queue) = mpsc::channel(WINDOW);
    // Never dropped: whoever waits, waits.
    std::mem::forget(queue);
    Publisher { jobs, figures: Figures::register() }
}

/// A publisher whose broker takes every body but `POISON`, and the bodies it has taken.
#[cfg(test)]
pub(crate) fn to_list() -> (Publisher, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (jobs, mut queue) = mpsc::channel::<Job>(WINDOW);
    let (taken, list) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(job) = queue.recv().await {
            let refused = job.body == "POISON";
            if !refused {
                let _ = taken.send(job.body.to_vec());
            }
            let _ = job.answer.send(if refused { Err(Unconfirmed::Refused) } else { Ok(()) });
        }
    });
    (Publisher { jobs, figures: Figures::register() }, list)
}
