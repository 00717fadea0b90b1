//! The load: many connections that send the webhooks of a stream, by a schedule or as fast as they are answered.

mod pacer;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::http::{Connection, Requests};
use crate::latency::{Latencies, Latency};
use crate::schedule::Schedule;
use crate::traffic::{Stream, Traffic};

/// How long a connection that was lost waits before it is made anew.
const RECONNECT: Duration = Duration::from_millis(50);

/// What is sent, to whom, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sending {
    /// The door.
    pub door: SocketAddr,
    /// Signs the webhooks.
    pub secret: String,
    /// The webhooks.
    pub stream: Stream,
    /// The number of the first one.
    pub first: u64,
    /// How many connections there are, each with one request at a time.
    pub connections: usize,
    /// Requests a second, whatever the answers; none: the next as soon as one is answered.
    pub rate: Option<f64>,
    /// How long, in seconds.
    pub seconds: f64,
    /// How much of it is not measured, at the start.
    pub warm_up: f64,
}

/// A webhook that was not answered 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number in the stream.
    pub number: u64,
    /// What it was answered; 0: nothing.
    pub status: u16,
}

/// What became of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// The number of the first webhook.
    pub first: u64,
    /// How many were sent, warm-up and all.
    pub count: u64,
    /// Those that were not answered 200.
    pub refused: Vec<Refused>,
    /// Answers of 200 a second, warm-up left out.
    pub rate: f64,
    /// From the time at which a request was meant to be sent to its answer.
    pub latency: Latency,
    /// The longest time in which nothing was answered, in milliseconds.
    pub silence: f64,
    /// When the first was meant to be sent, in seconds of the Unix epoch.
    pub started: f64,
}

struct Load {
    sending: Sending,
    traffic: Traffic,
    schedule: Option<(Schedule, Arc<Semaphore>)>,
    start: Instant,
    /// How many have been taken.
    taken: Cell<u64>,
    answered: Cell<u64>,
    last_answer: Cell<Instant>,
    silence: Cell<Duration>,
    latencies: RefCell<Latencies>,
    refused: RefCell<Vec<Refused>>,
}

impl Sending {
    /// Connects, waits for `cue`, and sends.
    ///
    /// # Errors
    ///
    /// When the door can't be reached. What it answers is no error.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Sent> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::to(self.door).await?);
        }
        let traffic = Traffic::of(self.stream.clone())?;
        cue().await?;

        let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let start = Instant::now();
        let total = self.rate.map(|rate| (rate * self.seconds) as u64);
        let schedule = self.rate.map(|rate| (Schedule::new(rate), Arc::new(Semaphore::new(0))));
        if let (Some((schedule, gate)), Some(total)) = (&schedule, total) {
            pacer::start(*schedule, Arc::clone(gate), start, total, self.connections)?;
        }
        let load = Rc::new(Load {
            traffic,
            schedule,
            start,
            taken: Cell::new(0),
            answered: Cell::new(0),
            last_answer: Cell::new(start),
            silence: Cell::default(),
            latencies: RefCell::new(Latencies::new()?),
            refused: RefCell::default(),
            sending: self,
        });
        let local = LocalSet::new();
        let mut senders = JoinSet::new();
        for connection in connections {
            senders.spawn_local_on(Rc::clone(&load).send(connection, total), &local);
        }
        local
            .run_until(async {
                while let Some(sender) = senders.join_next().await {
                    sender.context("a sender panicked")??;
                }
                anyhow::Ok(())
            })
            .await?;
        Ok(load.report(started))
    }
}

impl Load {
    async fn send(self: Rc<Self>, mut connection: Connection, total: Option<u64>) -> Result<()> {
        let mut requests = Requests::signed_with(&self.sending.secret)?;
        while let Some((nth, intended)) = self.next(total).await? {
            let number = self.sending.first + nth;
            match connection.ask(requests.write(&self.traffic, number)?).await {
                Ok(200) => self.answered_well(intended),
                Ok(status) => self.refused.borrow_mut().push(Refused { number, status }),
                Err(_) => {
                    self.refused.borrow_mut().push(Refused { number, status: 0 });
                    tokio::time::sleep(RECONNECT).await;
                    connection = Connection::to(self.sending.door).await?;
                }
            }
        }
        Ok(())
    }

    /// The next request and when it is, or was, meant to be sent; none: that was all.
    async fn next(&self, total: Option<u64>) -> Result<Option<(u64, Instant)>> {
        if let Some((_, gate)) = &self.schedule {
            gate.acquire().await?.forget();
        }
        let nth = self.taken.get();
        let intended = match &self.schedule {
            Some((schedule, _)) => self.start + schedule.intended(nth),
            None => Instant::now(),
        };
        let over = match total {
            Some(total) => nth >= total,
            None => self.start.elapsed().as_secs_f64() >= self.sending.seconds,
        };
        if over {
            return Ok(None);
        }
        self.taken.set(nth + 1);
        Ok(Some((nth, intended)))
    }

    fn answered_well(&self, intended: Instant) {
        let now = Instant::now();
        let silent = now - self.last_answer.replace(now);
        let since = |at: Instant| (at - self.start).as_secs_f64();
        if since(intended) < self.sending.warm_up {
            return;
        }
        self.latencies.borrow_mut().add(now - intended);
        self.silence.set(self.silence.get().max(silent));
        if since(now) <= self.sending.seconds {
            self.answered.set(self.answered.get() + 1);
        }
    }

    fn report(&self, started: f64) -> Sent {
        Sent {
            first: self.sending.first,
            count: self.taken.get(),
            refused: self.refused.take(),
            rate: self.answered.get() as f64 / (self.sending.seconds - self.sending.warm_up),
            latency: self.latencies.borrow().summary(),
            silence: self.silence.get().as_secs_f64() * 1000.0,
            started,
        }
    }
}

#[cfg(test)]
mod tests;
