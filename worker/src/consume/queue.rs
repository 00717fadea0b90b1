//! One queue, consumed window by window.

use std::time::{Duration, Instant};

use contract::health::Health;
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use time::OffsetDateTime;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::{Settings, outage::Outage, window::Window};
use crate::{fault::Fault, figures, store::Store};

/// How long a window waits for more once it holds something.
const LINGER: Duration = Duration::from_millis(5);

/// Which way a queue's deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Projected as they come.
    Fast,
    /// Set aside as pending.
    Slow,
}

/// Why a queue is not consumed any more. Unsettled deliveries come again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// The channel or the connection failed.
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
    /// The broker cancelled the consumer: the queue was deleted, or a time-out struck.
    #[error("RabbitMQ cancelled the consumer of {0}")]
    Cancelled(&'static str),
    /// The database has been away for so long that the deliveries are given back.
    #[error("deliveries are given back: {0}")]
    Outage(Fault),
}

/// Consumes a queue until `stop`, on a channel of its own.
pub(super) async fn consume(
    connection: &Connection,
    name: &'static str,
    lane: Lane,
    store: &Store,
    settings: Settings,
    health: &Health,
    stop: &CancellationToken,
) -> Result<(), Stopped> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(settings.prefetch, BasicQosOptions::default()).await?;
    let tag = format!("{name}.{}", std::process::id());
    let mut consumer = channel
        .basic_consume(name.into(), tag.into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    loop {
        let Some(window) = gather(&mut consumer, name, lane, settings, stop).await? else {
            return Ok(());
        };
        let began = Instant::now();
        let outage = Outage::none();
        while let Err(fault) = store_window(store, &window).await {
            outage.wait(&store.pool, health, stop, fault).await.map_err(Stopped::Outage)?;
        }
        acknowledge(&channel, &window).await?;
        figures::window_stored(began.elapsed());
        tracing::debug!(queue = name, deliveries = window.len(), "stored");
    }
}

/// Waits for a delivery, and takes with it what is there or comes soon. None: asked to stop.
async fn gather(
    consumer: &mut Consumer,
    name: &'static str,
    lane: Lane,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<Option<Window>, Stopped> {
    let first = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(None),
        delivery = consumer.next() => delivery.ok_or(Stopped::Cancelled(name))??,
    };
    let now = OffsetDateTime::now_utc();
    let slowly = lane == Lane::Slow;
    let mut window = Window::default();
    window.add(first, slowly, now);
    let deadline = tokio::time::Instant::now() + LINGER;
    while window.len() < settings.window {
        // What is here already costs no timer.
        let next = match consumer.next().now_or_never() {
            Some(next) => next,
            None => match timeout_at(deadline, consumer.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        // A consumer that ends is a fault of the next window; this one is stored first.
        let Some(Ok(delivery)) = next else { break };
        window.add(delivery, slowly, now);
    }
    Ok(Some(window))
}

/// Stores a window, every webhook in the lane that it belongs to.
async fn store_window(store: &Store, window: &Window) -> Result<(), Fault> {
    for (webhook, problem) in &window.unreadable {
        store.bury(webhook, problem.to_string()).await?;
    }
    if !window.suspect.is_empty() {
        store.set_aside(&window.suspect).await?;
    }
    if window.fresh.is_empty() {
        return Ok(());
    }
    match store.take(&window.fresh).await {
        Err(Fault::Data(reason)) => {
            tracing::warn!(webhooks = window.fresh.len(), reason, "a window goes to the slow lane");
            store.set_aside(&window.fresh).await
        }
        other => other,
    }
}

async fn acknowledge(channel: &Channel, window: &Window) -> Result<(), Stopped> {
    if let Some(tag) = window.last_tag() {
        channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
    }
    Ok(())
}
