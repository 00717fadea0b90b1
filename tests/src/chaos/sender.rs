//! The sender: a steady stream of webhooks that waits for no answer before the next, each tried again as Kapso does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::{Answer, Ledger};
use super::story::{Story, Told};

/// Kapso's waits before each try, in real time.
const WAITS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(40), Duration::from_secs(90)];

/// How long Kapso waits for an answer. Not scaled: ingest's own deadline is not either.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections are given up before ingest does it: a request that meets their end goes unanswered.
const IDLE: Duration = Duration::from_secs(2);

/// Sends the story.
pub(super) struct Sender {
    client: reqwest::Client,
    url: String,
    story: Arc<Story>,
    ledger: Arc<Ledger>,
    /// What the waits between tries are multiplied by.
    scale: f64,
    /// Every try holds it to read; whoever holds it to write has silence.
    gate: RwLock<()>,
    /// No new webhook, no further try.
    stop: CancellationToken,
    under_way: TaskTracker,
}

impl Sender {
    pub(super) fn new(url: String, story: Arc<Story>, ledger: Arc<Ledger>, scale: f64) -> Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE).build()?,
            url,
            story,
            ledger,
            scale,
            gate: RwLock::default(),
            stop: CancellationToken::new(),
            under_way: TaskTracker::new(),
        })
    }

    /// So many webhooks a second, until stopped. What the machine made late is caught up with.
    pub(super) async fn load(self: Arc<Self>, rate: f64) {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let sender = Arc::clone(&self);
            let nth = self.ledger.next();
            self.under_way.spawn(async move { sender.deliver(nth).await });
        }
    }

    /// Sends the next webhook once, and says which it was and whether it was answered 200.
    pub(super) async fn probe(&self) -> (u64, Answer) {
        let nth = self.ledger.next();
        let told = self.story.tell(nth);
        self.ledger.open(nth, told.id);
        (nth, self.attempt(nth, &told).await)
    }

    /// Waits until no request is under way, and lets none leave until the guard is dropped.
    pub(super) async fn silence(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Ends the load, and waits for the requests that are under way.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Delivers one webhook as Kapso does: until it is answered 200, or given up.
    async fn deliver(&self, nth: u64) {
        let told = self.story.tell(nth);
        self.ledger.open(nth, told.id);
        for wait in WAITS {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait.mul_f64(self.scale)) => {}
            }
            if self.attempt(nth, &told).await == Answer::Status(200) {
                break;
            }
        }
        if told.again && !self.stop.is_cancelled() {
            self.attempt(nth, &told).await;
        }
    }

    async fn attempt(&self, nth: u64, told: &Told) -> Answer {
        let _open = self.gate.read().await;
        let request = self.client.post(&self.url).timeout(PATIENCE).body(told.webhook.body.clone());
        let request = told.headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
        let start = Instant::now();
        let answer = match request.send().await {
            Ok(response) => Answer::Status(response.status().as_u16()),
            Err(error) if error.is_timeout() => Answer::Silence,
            Err(_) => Answer::None,
        };
        self.ledger.answered(nth, answer, start.elapsed());
        answer
    }
}
