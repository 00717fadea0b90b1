//! One queue, consumed window by window.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    task::yield_now,
    time::{sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Settings, window::Window};
use crate::{
    fault::Fault,
    figures,
    outage::{Met, in_time},
    store::{Begun, Store},
};

/// How long a window waits for more once it holds something.
const LINGER: Duration = Duration::from_millis(5);

/// How many bytes of bodies a window takes before it is full: far below what Postgres takes in a statement (1 GiB), and
/// what a worker should need.
const BYTES: usize = 32 * 1024 * 1024;

/// How many deliveries are decoded before others have their turn.
const AT_A_TIME: usize = 8;

/// A queue, and what is done with its deliveries.
pub(super) struct Queue<'a> {
    pub(super) name: &'static str,
    /// Whether all of it goes to the slow lane.
    pub(super) set_aside: bool,
    pub(super) store: &'a Store,
    pub(super) settings: Settings,
}

/// What is done while a window is being stored.
struct Ahead<'a> {
    window: &'a mut Window,
    deliveries: &'a mut Deliveries,
    session: &'a CancellationToken,
}

/// What came of trying once.
struct Tried {
    /// Whether the window is stored. Not: it has to be done in another way.
    stored: Result<bool, Fault>,
    /// The next window, where it is archived already.
    next_begun: Option<Begun>,
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

/// Deliveries as they come. How they ended is kept until somebody asks: a consumer says it once, and never again.
struct Deliveries {
    consumer: Consumer,
    queue: &'static str,
    ended: Option<Stopped>,
}

impl Deliveries {
    /// The next one; none once they have ended. Nothing is lost when this is dropped.
    async fn next(&mut self) -> Option<Delivery> {
        if self.ended.is_some() {
            return None;
        }
        let ended = match self.consumer.next().await {
            Some(Ok(delivery)) => return Some(delivery),
            Some(Err(error)) => error.into(),
            None => Stopped::Cancelled(self.queue),
        };
        self.ended = Some(ended);
        None
    }

    /// How they ended.
    fn end(&mut self) -> Stopped {
        self.ended.take().unwrap_or(Stopped::Cancelled(self.queue))
    }
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
        let consumer = channel.basic_consume(self.name.into(), tag.into(), options, none).await?;
        let mut deliveries = Deliveries { consumer, queue: self.name, ended: None };
        let (mut window, mut begun) = (Window::default(), None);
        while self.gather(&mut window, &mut deliveries, session).await? {
            let began = Instant::now();
            let mut next = Window::default();
            let ahead = Ahead { window: &mut next, deliveries: &mut deliveries, session };
            let Tried { stored, next_begun } =
                self.store_once(&window, begun.take(), &channel, ahead).await?;
            if matches!(stored, Ok(true)) {
                met.works();
                begun = next_begun;
            } else {
                if let Some(next_begun) = next_begun {
                    // What is tried now would wait for it, where a webhook came twice.
                    next_begun.undo().await;
                }
                if let Err(outage @ Fault::Outage(_)) = &stored
                    && stop.run_until_cancelled(sleep(met.failed(outage))).await.is_none()
                {
                    return Ok(());
                }
                if !self.store_at_last(&window, &channel, &mut met, stop).await? {
                    return Ok(());
                }
                self.settle(&channel, &window, began).await?;
            }
            window = next;
        }
        Ok(())
    }

    /// Tries once to store a window, and acknowledges it. The broker and our reading are at the next window meanwhile,
    /// so that the longer it takes, the more the next one takes at once. One that is full is archived, too, as soon as
    /// this one is, and projected after it: what one worker takes is owed in the order in which it came.
    async fn store_once(
        &self,
        window: &Window,
        begun: Option<Begun>,
        channel: &Channel,
        ahead: Ahead<'_>,
    ) -> Result<Tried, Stopped> {
        let (archived, ended) = (CancellationToken::new(), CancellationToken::new());
        let this = async {
            let _ended = ended.clone().drop_guard();
            let began = Instant::now();
            let stored = self.store_plain(window, begun, &archived).await;
            if matches!(stored, Ok(true)) {
                self.settle(channel, window, began).await?;
            }
            Ok::<_, Stopped>(stored)
        };
        let next = async {
            let Ahead { window, deliveries, session } = ahead;
            ended.run_until_cancelled(session.run_until_cancelled(self.fill(window, deliveries))).await;
            if !self.is_full(window) || !window.is_plain() {
                return None;
            }
            ended.run_until_cancelled(archived.cancelled()).await?;
            in_time(self.store.begin(&window.fresh)).await.ok()
        };
        let (stored, next_begun) = tokio::join!(this, next);
        Ok(Tried { stored: stored?, next_begun })
    }

    /// Stores a window all of which is to be projected as it came; says when it is archived. False: it is not such a
    /// window, or it has to begin anew.
    async fn store_plain(
        &self,
        window: &Window,
        begun: Option<Begun>,
        archived: &CancellationToken,
    ) -> Result<bool, Fault> {
        if !window.is_plain() {
            return Ok(false);
        }
        let was_begun = begun.is_some();
        let begun = match begun {
            Some(begun) => begun,
            None => in_time(self.store.begin(&window.fresh)).await?,
        };
        archived.cancel();
        match in_time(self.store.finish(begun, &window.fresh)).await {
            // Postgres ends a transaction that had to wait too long for the window before it. That is no outage.
            Err(Fault::Outage(_)) if was_begun => Ok(false),
            other => other,
        }
    }

    /// Acknowledges a window that is stored.
    async fn settle(&self, channel: &Channel, window: &Window, began: Instant) -> Result<(), Stopped> {
        acknowledge(channel, window).await?;
        figures::window_stored(began.elapsed());
        tracing::debug!(queue = self.name, deliveries = window.len(), "stored");
        Ok(())
    }

    fn is_full(&self, window: &Window) -> bool {
        window.len() >= self.settings.window || window.bytes() >= BYTES
    }

    /// Waits until a window holds something, and takes with that what is there or comes soon. False: asked to stop
    /// while there was nothing.
    async fn gather(
        &self,
        window: &mut Window,
        deliveries: &mut Deliveries,
        session: &CancellationToken,
    ) -> Result<bool, Stopped> {
        if window.is_empty() {
            let first = tokio::select! {
                biased;
                () = session.cancelled() => return Ok(false),
                delivery = deliveries.next() => delivery,
            };
            self.add(window, first.ok_or_else(|| deliveries.end())?);
        }
        // What is here already costs no timer.
        if self.fill(window, deliveries).now_or_never().is_none() {
            // It is full, it ends, or it has waited long enough: all the same.
            let _ = timeout_at(window.began() + LINGER, self.fill(window, deliveries)).await;
        }
        Ok(true)
    }

    /// Adds deliveries to a window until it is full. Nothing is lost when this is dropped.
    async fn fill(&self, window: &mut Window, deliveries: &mut Deliveries) {
        while !self.is_full(window) {
            // Decoding them all at once would let Postgres wait for the next statement.
            if window.len().is_multiple_of(AT_A_TIME) {
                yield_now().await;
            }
            // What ends them is a fault of the next window; this one is stored first.
            let Some(delivery) = deliveries.next().await else { break };
            self.add(window, delivery);
        }
    }

    fn add(&self, window: &mut Window, delivery: Delivery) {
        window.add(delivery, self.set_aside);
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
        while let Err(fault) = in_time(store_window(self.store, window)).await {
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
        store.set_aside(window.suspect.iter()).await?;
    }
    if window.fresh.is_empty() {
        return Ok(());
    }
    match store.take(&window.fresh).await {
        Err(Fault::Data(reason)) => {
            let webhooks = window.fresh.webhooks();
            tracing::warn!(webhooks = webhooks.clone().count(), reason, "a window goes to the slow lane");
            store.set_aside(webhooks).await
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
