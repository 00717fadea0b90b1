//! One queue, consumed window by window.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Settings, window::Window};
use crate::{fault::Fault, figures, outage::Met, store::Store};

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

/// A queue, and what is done with its deliveries.
pub(super) struct Queue<'a> {
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    pub(super) store: &'a Store,
    pub(super) settings: Settings,
}

/// Why a queue is not consumed any more. Unsettled deliveries come again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// The channel or the connection failed.
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
    /// The broker cancelled the consumer: the queue was deleted, or its leader went.
    #[error("RabbitMQ cancelled the consumer of {0}")]
    Cancelled(&'static str),
    /// An outage outlasted the hold. It is over now.
    #[error("deliveries of {0} were given back while the database took nothing")]
    GivenBack(&'static str),
}

impl Queue<'_> {
    /// Consumes until `session` ends, on a channel of its own. An outage is waited out until
    /// `stop`: while nothing can be stored there is no use in another session.
    pub(super) async fn consume(
        &self,
        connection: &Connection,
        mut met: Met,
        session: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(self.settings.prefetch, BasicQosOptions::default()).await?;
        let tag = format!("{}.{}", self.name, std::process::id());
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = channel.basic_consume(self.name.into(), tag.into(), options, none).await?;
        let mut gathered = self.gather(&mut consumer, session).await?;
        while let Some(window) = gathered {
            let began = Instant::now();
            // The broker and our reading are at the next window while Postgres is at this one.
            let mut next = pin!(self.gather(&mut consumer, session));
            let mut stored = pin!(self.store_at_last(&window, &channel, &mut met, stop));
            let mut early = None;
            let is_stored = loop {
                tokio::select! {
                    biased;
                    is_stored = &mut stored => break is_stored?,
                    next = &mut next, if early.is_none() => early = Some(next),
                }
            };
            if !is_stored {
                return Ok(());
            }
            acknowledge(&channel, &window).await?;
            figures::window_stored(began.elapsed());
            tracing::debug!(queue = self.name, deliveries = window.len(), "stored");
            gathered = match early {
                Some(next) => next?,
                None => next.await?,
            };
        }
        Ok(())
    }

    /// Waits for a delivery, and takes with it what is there or comes soon. None: asked to stop.
    async fn gather(
        &self,
        consumer: &mut Consumer,
        session: &CancellationToken,
    ) -> Result<Option<Window>, Stopped> {
        let first = tokio::select! {
            biased;
            () = session.cancelled() => return Ok(None),
            delivery = consumer.next() => delivery.ok_or(Stopped::Cancelled(self.name))??,
        };
        let now = OffsetDateTime::now_utc();
        let slowly = self.lane == Lane::Slow;
        let mut window = Window::default();
        window.add(first, slowly, now);
        let deadline = tokio::time::Instant::now() + LINGER;
        while window.len() < self.settings.window {
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

    /// Stores a window, however long the database takes nothing: trying again is the only
    /// probe that proves anything. Held too long, its deliveries are given back, and the
    /// window is stored nevertheless; when they come again they are nothing new.
    /// False: asked to stop before it was stored.
    async fn store_at_last(
        &self,
        window: &Window,
        channel: &Channel,
        met: &mut Met,
        stop: &CancellationToken,
    ) -> Result<bool, Stopped> {
        let began = Instant::now();
        let mut given_back = false;
        while let Err(fault) = store_window(self.store, window).await {
            let pause = met.failed(&fault);
            if !given_back && began.elapsed() >= self.settings.hold {
                tracing::warn!(queue = self.name, "deliveries are given back: the outage lasts");
                // It fails where the channel is gone: they are back already.
                channel.close(200, "an outage lasts".into()).await.ok();
                given_back = true;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(false),
                () = sleep(pause) => {}
            }
        }
        met.works();
        if given_back { Err(Stopped::GivenBack(self.name)) } else { Ok(true) }
    }
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
