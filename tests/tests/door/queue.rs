//! What lies in the broker, seen by a client that shares nothing with the product.

use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt as _;
use harness::wait;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

pub(crate) const EVENTS: &str = "buzon.events";
pub(crate) const UNROUTED: &str = "buzon.unrouted";

/// A confirmed message is visible at once; the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct Queue {
    // Dropping it ends the channel.
    _connection: Connection,
    channel: Channel,
}

impl Queue {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self { _connection: connection, channel })
    }

    /// Takes the next message out of a queue, waiting for it.
    pub(crate) async fn take(&self, queue: &str) -> Result<BasicGetMessage> {
        wait::until(&format!("a message in {queue}"), DEADLINE, async || self.next(queue).await).await
    }

    /// Takes every message that is in a queue now.
    pub(crate) async fn take_all(&self, queue: &str) -> Result<Vec<BasicGetMessage>> {
        let mut taken = Vec::new();
        while let Some(message) = self.next(queue).await? {
            taken.push(message);
        }
        Ok(taken)
    }

    /// Takes the bodies of what is in a queue, and of what comes until nothing does for a moment.
    pub(crate) async fn consume_some(&self, queue: &str) -> Result<Vec<String>> {
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = self.channel.basic_consume(queue.into(), "".into(), options, none).await?;
        let (mut bodies, mut last) = (Vec::new(), None);
        while let Ok(Some(delivery)) = timeout(Duration::from_millis(500), consumer.next()).await {
            let delivery = delivery?;
            bodies.push(String::from_utf8_lossy(&delivery.data).into_owned());
            last = Some(delivery);
        }
        // What is sent to a consumer that is about to go, goes back to the queue.
        if let Some(last) = last {
            last.ack(BasicAckOptions { multiple: true }).await?;
        }
        Ok(bodies)
    }

    async fn next(&self, queue: &str) -> Result<Option<BasicGetMessage>> {
        let options = BasicGetOptions { no_ack: true };
        Ok(self.channel.basic_get(queue.into(), options).await?)
    }

    /// Binds a queue of somebody else's to the exchange of events.
    pub(crate) async fn bind_own(&self, queue: &str, key: &str) -> Result<()> {
        let none = FieldTable::default();
        self.channel.queue_declare(queue.into(), QueueDeclareOptions::default(), none.clone()).await?;
        let options = QueueBindOptions::default();
        Ok(self.channel.queue_bind(queue.into(), EVENTS.into(), key.into(), options, none).await?)
    }

    pub(crate) async fn delete(&self, queue: &str) -> Result<()> {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }

    /// Declares a queue as ingest does not.
    pub(crate) async fn declare_classic(&self, queue: &str) -> Result<()> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
        Ok(())
    }
}
