//! The messages in flight on one confirm channel: published, not yet confirmed.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use contract::topology::EVENTS_EXCHANGE;
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{Channel, Confirmation, options::BasicPublishOptions};
use tokio::{sync::oneshot, time::Instant};

use super::{Job, Unconfirmed};

/// How long messages from before a blockade may take after it, before the connection counts as stalled.
const GRACE: Duration = Duration::from_secs(2);

type Confirming = Pin<Box<dyn Future<Output = (u64, lapin::Result<Confirmation>)> + Send>>;

/// Who waits for a message, and until when. The answer is gone once it has been given.
struct Waiting {
    deadline: Instant,
    answer: Option<oneshot::Sender<Result<(), Unconfirmed>>>,
}

/// The messages in flight. Jobs are answered in it and nowhere else once they are published.
#[derive(Default)]
pub(super) struct Flight {
    confirming: FuturesUnordered<Confirming>,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

/// What a confirm means for its message and its channel.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is durable.
    Confirmed,
    /// It is not; the channel is sound.
    Refused,
    /// Some message in flight had nowhere to go, and which one can't be told: lapin hands a
    /// returned message to whichever confirm comes next.
    Returned,
    /// The channel is of no more use.
    Broken(String),
}

impl Verdict {
    fn of(confirmation: lapin::Result<Confirmation>) -> Self {
        match confirmation {
            Ok(Confirmation::Ack(None)) => Self::Confirmed,
            Ok(Confirmation::Nack(None)) => Self::Refused,
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Self::Returned,
            Ok(Confirmation::NotRequested) => Self::Broken("the channel gives no confirms".to_owned()),
            Err(error) => Self::Broken(error.to_string()),
        }
    }
}

impl Flight {
    /// How many messages have not been confirmed yet.
    pub(super) fn len(&self) -> usize {
        self.confirming.len()
    }

    /// Whether everything is confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.confirming.is_empty()
    }

    /// Publishes a job's message. Its tag is taken and its frames are queued when
    /// [`Flight::settle`] polls it first: by one task, hence never for two messages at once.
    pub(super) fn launch(&mut self, channel: &Arc<Channel>, job: Job) {
        let Job { body, routing_key, properties, deadline, answer } = job;
        let (number, channel) = (self.next, Arc::clone(channel));
        self.next += 1;
        self.waiting.insert(number, Waiting { deadline, answer: Some(answer) });
        self.confirming.push(Box::pin(async move {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let exchange = EVENTS_EXCHANGE.into();
            let published = channel.basic_publish(exchange, routing_key, options, &body, properties).await;
            // lapin has its own copy: nothing here needs the body any longer.
            drop(body);
            match published {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        }));
    }

    /// Waits for confirms and answers their jobs. Waits for ever while nothing is in flight.
    ///
    /// # Errors
    /// Why the channel must be replaced. Jobs may still be in flight: see [`Flight::fail`].
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        // All that have come, before any is answered: an acknowledgement of several messages
        // comes one by one, and the returned one among them may not be the first.
        let confirms = poll_fn(|cx| {
            let mut confirms = Vec::new();
            while let Poll::Ready(Some(confirm)) = self.confirming.poll_next_unpin(cx) {
                confirms.push(confirm);
            }
            if confirms.is_empty() { Poll::Pending } else { Poll::Ready(confirms) }
        });
        let verdicts: Vec<_> =
            confirms.await.into_iter().map(|(number, confirm)| (number, Verdict::of(confirm))).collect();
        if verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Returned) {
            self.fail(Unconfirmed::Refused);
            return Err("a message had nowhere to go: the queues are gone".to_owned());
        }
        let mut broken = Ok(());
        for (number, verdict) in verdicts {
            let outcome = match verdict {
                Verdict::Confirmed => Ok(()),
                Verdict::Refused | Verdict::Returned => Err(Unconfirmed::Refused),
                Verdict::Broken(why) => {
                    broken = Err(why);
                    Err(Unconfirmed::Lost)
                }
            };
            if let Some(answer) = self.waiting.remove(&number).and_then(|waiting| waiting.answer) {
                let _ = answer.send(outcome);
            }
        }
        broken
    }

    /// Whether a confirm is overdue.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        // Jobs come nearly in the order of their deadlines: the oldest speaks for all.
        self.waiting.first_key_value().is_some_and(|(_, waiting)| waiting.deadline <= now)
    }

    /// Answers every job in flight with a failure. The messages stay in flight.
    pub(super) fn fail(&mut self, why: Unconfirmed) {
        for answer in self.waiting.values_mut().filter_map(|waiting| waiting.answer.take()) {
            let _ = answer.send(Err(why));
        }
    }

    /// Gives what is in flight new time, after a blockade in which nothing could move.
    pub(super) fn grant_grace(&mut self, now: Instant) {
        for waiting in self.waiting.values_mut() {
            waiting.deadline = now + GRACE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_acknowledgement_is_a_success() {
        assert_eq!(Verdict::of(Ok(Confirmation::Ack(None))), Verdict::Confirmed);
        assert_eq!(Verdict::of(Ok(Confirmation::Nack(None))), Verdict::Refused);
        assert!(matches!(Verdict::of(Ok(Confirmation::NotRequested)), Verdict::Broken(_)));
        assert!(matches!(Verdict::of(Err(lapin::ErrorKind::FutureCompleted.into())), Verdict::Broken(_)));
    }
}
