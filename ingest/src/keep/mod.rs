//! Makes a webhook durable, in time and whatever is down: by the broker's confirm, or by the
//! spool.
//!
//! ```text
//!          ┌─ direct ──► publisher ──► RabbitMQ
//! keep ─► way               ▲ failed        ▲
//!          └─ spooling ─► spool ─► drainer ─┘ (and opens the direct way when that goes well)
//! ```
//!
//! A request that the broker fails is spooled, and from then on all are, at once: nobody else
//! waits for a broker that is slow. Fresh webhooks do not wait for older ones to be drained:
//! the worker gets to the same state in any order.

mod drain;
mod pace;
mod way;

use std::time::Duration;

use contract::envelope::Envelope;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{drain::Drainer, way::Way};
use crate::{
    figures::Figures,
    publish::{Publisher, Unconfirmed},
    spool::{NotStored, Source, Spool},
};

/// How long the broker may take to confirm before the spool is asked.
const CONFIRM_WITHIN: Duration = Duration::from_millis(1_500);

/// How long the spool may take.
const STORE_WITHIN: Duration = Duration::from_millis(800);

/// When a request is answered at the latest, from its body's last byte. The sender is promised
/// 2.5 s; the rest is for the answer itself.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_300);

/// Where a webhook has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The broker has confirmed and routed it.
    Queue,
    /// It is in the spool, and will be drained.
    Spool,
}

impl Kept {
    /// As the log has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Spool => "spool",
        }
    }
}

/// Why a webhook is not known to be durable: neither takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{broker}; {spool}")]
pub struct NotKept {
    /// Why the broker does not.
    pub broker: Unconfirmed,
    /// Why the spool does not.
    pub spool: NotStored,
}

/// A handle for making webhooks durable; clones share everything.
#[derive(Clone)]
pub struct Keeper {
    publisher: Publisher,
    spool: Spool,
    way: Way,
}

impl Keeper {
    /// Makes a webhook durable whose last byte came at `received`.
    ///
    /// # Errors
    /// [`NotKept`], 2.3 s after `received` at the latest.
    pub async fn keep(&self, envelope: &Envelope, received: Instant) -> Result<Kept, NotKept> {
        let deadline = received + ANSWER_WITHIN;
        let direct = if self.way.is_direct() {
            match self.publisher.publish(envelope, received + CONFIRM_WITHIN).await {
                Ok(()) => return Ok(Kept::Queue),
                Err(why) => {
                    self.way.leave(why);
                    Some(why)
                }
            }
        } else {
            None
        };
        let spool = match self.spool.store(envelope, deadline.min(Instant::now() + STORE_WITHIN)).await {
            Ok(()) => return Ok(Kept::Spool),
            Err(why) => why,
        };
        // Past a spool that takes nothing, the broker may be back already.
        let broker = match direct {
            Some(why) => why,
            None => match self.publisher.publish(envelope, deadline).await {
                Ok(()) => {
                    // It is the only way there is now.
                    self.way.open();
                    return Ok(Kept::Queue);
                }
                Err(why) => why,
            },
        };
        Err(NotKept { broker, spool })
    }
}

/// The task that drains the spool.
pub struct Draining {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Draining {
    /// Drains no more, and waits for the confirms that are due. What is left stays in the spool.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that drains the spool failed");
        }
    }
}

/// Starts to drain, and gives a handle for making webhooks durable.
#[must_use]
pub(crate) fn start(
    publisher: Publisher,
    (spool, source): (Spool, Source),
    figures: Figures,
) -> (Keeper, Draining) {
    let (way, stop) = (Way::new(figures.clone()), CancellationToken::new());
    let drainer = Drainer::new(source, publisher.clone(), way.clone(), figures);
    let task = tokio::spawn(drainer.run(stop.clone()));
    (Keeper { publisher, spool, way }, Draining { task, stop })
}

/// A keeper whose broker and spool answer every webhook in the same way.
#[cfg(test)]
pub(crate) fn always(broker: Result<(), Unconfirmed>, spool: Result<(), NotStored>) -> Keeper {
    let way = Way::new(Figures::register());
    Keeper { publisher: crate::publish::always(broker), spool: crate::spool::always(spool), way }
}

#[cfg(test)]
mod tests;
