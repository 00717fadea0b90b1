//! One client that publishes by a schedule: how long a broker takes to confirm at a rate that it bears. No answer that
//! waits for a confirm can come sooner.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use contract::envelope::Envelope;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::envelope;
use super::publish::{BODIES, QUEUE, open};
use crate::latency::{Latencies, Latency};
use crate::schedule::Schedule;
use crate::traffic::{Stream, Traffic};

/// What is published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirming {
    /// The broker, with its vhost.
    pub amqp: String,
    /// The webhooks, of which the bodies are published.
    pub stream: Stream,
    /// How many a second.
    pub rate: f64,
    /// For how long, in seconds; the first `warm_up` of them do not count.
    pub seconds: f64,
    /// In seconds.
    pub warm_up: f64,
}

impl Confirming {
    /// Connects, waits for `cue`, and publishes; how long after its time in the schedule each was confirmed.
    ///
    /// # Errors
    ///
    /// When the broker is away or does not confirm.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Latency> {
        let connection = Connection::connect(&self.amqp, ConnectionProperties::default()).await?;
        let channel = open(&connection).await?;
        let traffic = Traffic::of(self.stream.clone())?;
        let bodies: Vec<_> = (0..BODIES).map(|number| envelope(&traffic, number)).collect();
        cue().await?;
        let (outstanding, confirms) = mpsc::unbounded_channel();
        let start = Instant::now();
        let (published, latency) =
            tokio::join!(self.publish(&channel, &bodies, start, outstanding), self.settle(start, confirms));
        published?;
        connection.close(200, "done".into()).await?;
        latency
    }

    async fn publish(
        &self,
        channel: &Channel,
        bodies: &[Envelope],
        start: Instant,
        outstanding: mpsc::UnboundedSender<(Duration, PublisherConfirm)>,
    ) -> Result<()> {
        let schedule = Schedule::new(self.rate);
        let properties = BasicProperties::default().with_delivery_mode(2);
        for (number, webhook) in (0..).zip(bodies.iter().cycle()) {
            let intended = schedule.intended(number);
            if intended.as_secs_f64() >= self.warm_up + self.seconds {
                break;
            }
            // As coarse as a millisecond: what is due by then leaves at once.
            if let Some(early) = intended.checked_sub(start.elapsed()) {
                sleep(early).await;
            }
            let options = BasicPublishOptions::default();
            let published =
                channel.basic_publish("".into(), QUEUE.into(), options, &webhook.body, properties.clone());
            outstanding.send((intended, published.await?))?;
        }
        Ok(())
    }

    /// Confirms come in the order of their messages.
    async fn settle(
        &self,
        start: Instant,
        mut confirms: mpsc::UnboundedReceiver<(Duration, PublisherConfirm)>,
    ) -> Result<Latency> {
        let mut latencies = Latencies::new()?;
        while let Some((intended, confirm)) = confirms.recv().await {
            let confirm = confirm.await?;
            ensure!(matches!(confirm, Confirmation::Ack(None)), "not confirmed: {confirm:?}");
            if intended.as_secs_f64() >= self.warm_up {
                latencies.add(start.elapsed().saturating_sub(intended));
            }
        }
        Ok(latencies.summary())
    }
}
