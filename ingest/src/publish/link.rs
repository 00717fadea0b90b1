//! One connection with its confirm channel, from the hand-shake until it must be replaced.

use std::{pin::Pin, sync::Arc, time::Duration};

use contract::{
    broker::{Broker, BrokerError},
    health::Health,
};
use futures_util::{Stream, StreamExt};
use lapin::{Channel, Connection, Event, options::ConfirmSelectOptions};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{HEALTH_PART, Job, Unconfirmed, WINDOW, flight::Flight};
use crate::figures::Figures;

/// How long opening the channel may take, on a connection that has just been made.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

/// How often deadlines and the connection's state are looked at. What lapin tells by events
/// is noticed at once; this is for what it does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A connection that publishes.
pub(super) struct Link {
    connection: Connection,
    channel: Arc<Channel>,
    // The only listener: a second one would steal events from it.
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    flight: Flight,
    blocked: bool,
}

/// Why a link came to its end.
pub(super) enum End {
    /// It was asked to stop, and everything is confirmed or past its deadline.
    Stopped,
    /// It is broken.
    Broken(String),
}

impl Link {
    /// Connects, declares the topology, and opens the confirm channel.
    pub(super) async fn open(broker: &Broker) -> Result<Self, BrokerError> {
        let connection = broker.connect().await?;
        let events = Box::pin(connection.events_listener());
        let opened = timeout(OPEN_DEADLINE, async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        });
        let channel = Arc::new(opened.await.map_err(|_| BrokerError::Deadline)??);
        Ok(Self { connection, channel, events, flight: Flight::default(), blocked: false })
    }

    /// Publishes jobs until the link breaks or `stop` is cancelled. Every job that it took is answered then.
    pub(super) async fn serve(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        stop: &CancellationToken,
        health: &Health,
        figures: &Figures,
    ) -> End {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut open, mut taken) = (true, Vec::new());
        let broken = loop {
            // Those that are answered at once take no place.
            let room = if self.blocked { WINDOW } else { WINDOW.saturating_sub(self.flight.len()) };
            tokio::select! {
                biased;
                settled = self.flight.settle(), if !self.flight.is_empty() => {
                    if let Err(why) = settled { break why }
                }
                Some(event) = self.events.next() => {
                    if let Err(why) = self.hear(event, health, figures) { break why }
                }
                () = stop.cancelled(), if open && !jobs.is_closed() => jobs.close(),
                count = jobs.recv_many(&mut taken, room), if open && room > 0 => {
                    open = count > 0;
                    taken.drain(..).for_each(|job| self.take(job));
                }
                _ = look.tick() => if let Err(why) = self.look() { break why },
            }
            if !open && self.flight.is_empty() {
                return End::Stopped;
            }
        };
        self.flight.fail(Unconfirmed::Lost);
        if open { End::Broken(broken) } else { End::Stopped }
    }

    /// Says goodbye to the broker.
    pub(super) async fn close(self) -> lapin::Result<()> {
        self.connection.close(200, "stopped".into()).await
    }

    fn take(&mut self, job: Job) {
        if job.answer.is_closed() || job.deadline <= Instant::now() {
            // The request is gone: publishing would help nobody.
            job.fail(Unconfirmed::Late);
        } else if self.blocked || self.connection.status().blocked() {
            // Frames given to a blocked connection pile up, and are sent long after.
            job.fail(Unconfirmed::Blocked);
        } else {
            self.flight.launch(&self.channel, job);
        }
    }

    fn hear(&mut self, event: Event, health: &Health, figures: &Figures) -> Result<(), String> {
        match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(
                    reason = %reason.escape_debug(),
                    "RabbitMQ blocks publishing: free memory or disk there (rabbitmqctl status shows the alarm)"
                );
                self.blocked = true;
                self.flight.fail(Unconfirmed::Blocked);
                health.ailing(HEALTH_PART, "blocked by an alarm of the broker");
                figures.broker_blocked(true);
            }
            Event::ConnectionUnblocked => {
                tracing::info!("RabbitMQ takes messages again");
                self.blocked = false;
                self.flight.grant_grace(Instant::now());
                health.fine(HEALTH_PART);
                figures.broker_blocked(false);
            }
            Event::Error(error) => return Err(error.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn look(&self) -> Result<(), String> {
        let status = self.connection.status();
        if !status.connected() || !self.channel.status().connected() {
            return Err("the connection was closed".to_owned());
        }
        if !self.blocked && !status.blocked() && self.flight.is_stalled(Instant::now()) {
            return Err("a confirm did not come in time".to_owned());
        }
        Ok(())
    }
}
