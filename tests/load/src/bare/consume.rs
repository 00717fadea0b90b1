//! One client that consumes and acknowledges many at once: what a broker hands out at the most to one consumer.

use std::time::Instant;

use anyhow::{Context as _, Result};
use contract::topology;
use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};

use crate::part::Done;

/// The worker's default prefetch and window.
const PREFETCH: u16 = 1000;
const WINDOW: u64 = 250;

/// What is consumed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consuming {
    /// The broker, with its vhost.
    pub amqp: String,
    /// How many deliveries.
    pub count: u64,
}

impl Consuming {
    /// Connects, waits for `cue`, and consumes.
    ///
    /// # Errors
    ///
    /// When the broker goes away.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Done> {
        let connection = Connection::connect(&self.amqp, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        cue().await?;
        let start = Instant::now();
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = topology::EVENTS_QUEUE;
        let mut consumer = channel.basic_consume(queue.into(), "bare".into(), options, none).await?;
        for nth in 1..=self.count {
            let delivery = consumer.next().await.context("the consumer was cancelled")??;
            if nth % WINDOW == 0 || nth == self.count {
                channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await?;
            }
        }
        let done = Done { count: self.count, seconds: start.elapsed().as_secs_f64() };
        connection.close(200, "done".into()).await?;
        Ok(done)
    }
}
