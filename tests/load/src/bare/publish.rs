//! One client that publishes the same bodies with confirms, many of them outstanding: what a broker takes at the most
//! from one connection. Enveloped, it makes the backlog that a worker drains.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use contract::envelope::Envelope;
use contract::topology;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use serde::{Deserialize, Serialize};

use super::envelope;
use crate::part::Done;
use crate::traffic::{Stream, Traffic};

/// How many confirms may be outstanding.
const WINDOW: usize = 1024;

/// So many bodies are made beforehand and sent again and again, where only their cost counts.
pub(super) const BODIES: u64 = 20_000;

/// The queue of bare messages.
pub const QUEUE: &str = "bare";

/// What is published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publishing {
    /// The broker, with its vhost.
    pub amqp: String,
    /// The webhooks.
    pub stream: Stream,
    /// Bare bodies into a queue of its own for so many seconds, or …
    pub seconds: f64,
    /// … if not 0, so many webhooks into the product's exchange, as ingest would seal them.
    pub enveloped: u64,
}

impl Publishing {
    /// Connects, waits for `cue`, and publishes.
    ///
    /// # Errors
    ///
    /// When the broker is away or does not confirm.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Done> {
        let connection = Connection::connect(&self.amqp, ConnectionProperties::default()).await?;
        let traffic = Traffic::of(self.stream.clone())?;
        // A channel that is dropped begins to close, and a connection can't be closed meanwhile.
        let (done, _channel) = if self.enveloped > 0 {
            topology::declare(&connection, "/").await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            cue().await?;
            (fill(&channel, &traffic, self.enveloped).await?, channel)
        } else {
            let channel = open(&connection).await?;
            let bodies: Vec<_> = (0..BODIES).map(|number| envelope(&traffic, number)).collect();
            cue().await?;
            (publish(&channel, &bodies, self.seconds).await?, channel)
        };
        connection.close(200, "done".into()).await?;
        Ok(done)
    }
}

/// A channel that confirms, and the queue of bare messages.
pub(super) async fn open(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), options, arguments).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn publish(channel: &Channel, bodies: &[Envelope], seconds: f64) -> Result<Done> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let (start, mut count) = (Instant::now(), 0);
    let mut outstanding = Outstanding::default();
    for webhook in bodies.iter().cycle() {
        if start.elapsed().as_secs_f64() >= seconds {
            break;
        }
        let options = BasicPublishOptions::default();
        let published =
            channel.basic_publish("".into(), QUEUE.into(), options, &webhook.body, properties.clone());
        outstanding.add(published.await?).await?;
        count += 1;
    }
    outstanding.finish().await?;
    Ok(Done { count, seconds: start.elapsed().as_secs_f64() })
}

async fn fill(channel: &Channel, traffic: &Traffic, count: u64) -> Result<Done> {
    let start = Instant::now();
    let mut outstanding = Outstanding::default();
    for number in 0..count {
        let webhook = envelope(traffic, number);
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, key) = (topology::EVENTS_EXCHANGE.into(), webhook.kind.as_str().into());
        let published = channel.basic_publish(exchange, key, options, &webhook.body, webhook.properties());
        outstanding.add(published.await?).await?;
    }
    outstanding.finish().await?;
    Ok(Done { count, seconds: start.elapsed().as_secs_f64() })
}

/// Confirms that are due, in order.
#[derive(Default)]
struct Outstanding(VecDeque<PublisherConfirm>);

impl Outstanding {
    async fn add(&mut self, confirm: PublisherConfirm) -> Result<()> {
        self.0.push_back(confirm);
        if self.0.len() >= WINDOW { self.settle_one().await } else { Ok(()) }
    }

    async fn settle_one(&mut self) -> Result<()> {
        let confirm = self.0.pop_front().context("one is outstanding")?.await?;
        ensure!(matches!(confirm, Confirmation::Ack(None)), "not confirmed: {confirm:?}");
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        while !self.0.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }
}
