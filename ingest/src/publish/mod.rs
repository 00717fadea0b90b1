//! The publisher: says of each envelope whether the broker has it for good.
//!
//! Handlers hold a [`Publisher`], a cheap handle. One task owns the connection and its
//! only confirm channel ([`owner`]); handlers and owner meet in a bounded queue of jobs,
//! and each job is answered through a way of its own. lapin takes a message's delivery
//! tag and queues its frames in two steps, so that two publishers on one channel could
//! get each other's confirms: hence one owner.

mod flight;
mod link;
mod nag;
mod owner;

use bytes::Bytes;
use contract::{broker::Broker, envelope::Envelope, health::Health};
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

/// Why an envelope is not known to be durable. It may be stored nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDurable {
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

impl NotDurable {
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
    answer: oneshot::Sender<Result<(), NotDurable>>,
}

impl Job {
    fn fail(self, why: NotDurable) {
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
    /// [`NotDurable`], at `deadline` at the latest.
    pub async fn publish(&self, envelope: &Envelope, deadline: Instant) -> Result<(), NotDurable> {
        let begun = Instant::now();
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
            self.jobs.send(job).await.map_err(|_| NotDurable::Away)?;
            answered.await.map_err(|_| NotDurable::Lost)?
        });
        let outcome = outcome.await.unwrap_or(Err(NotDurable::Late));
        self.figures.published(outcome, begun.elapsed());
        outcome
    }
}

/// The task that owns the connection.
pub struct Owner {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Owner {
    /// Takes no more jobs, waits for the confirms that are still due, and closes the connection.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the publisher's task failed");
        }
    }
}

/// Starts the owner, which connects for ever, and gives a handle to it.
///
/// Must run inside the main Tokio runtime, never inside an actix worker: lapin's tasks live
/// where it is connected from.
#[must_use]
pub fn start(broker: Broker, health: Health, figures: Figures) -> (Publisher, Owner) {
    let (jobs, queue) = mpsc::channel(WINDOW);
    let stop = CancellationToken::new();
    let task = tokio::spawn(owner::own(broker, queue, health, figures.clone(), stop.clone()));
    (Publisher { jobs, figures }, Owner { task, stop })
}

/// A publisher whose broker answers every message in the same way.
#[cfg(test)]
pub(crate) fn always(outcome: Result<(), NotDurable>) -> Publisher {
    let (jobs, mut queue) = mpsc::channel::<Job>(1);
    tokio::spawn(async move {
        while let Some(job) = queue.recv().await {
            let _ = job.answer.send(outcome);
        }
    });
    Publisher { jobs, figures: Figures::register() }
}
