//! The worker: how fast it drains a standing backlog, against what delivering and storing cost by themselves.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, ceiling, tell};
use crate::bare::consume::Consuming;
use crate::bare::naive::Naive;
use crate::bare::publish::Publishing;
use crate::bare::store::Storing;
use crate::part::{Done, Part};
use crate::place::Place;
use crate::send::Sent;
use crate::traffic::{Stream, Traffic};
use crate::usage::{Cpu, Watched};
use crate::verify::verify;

const DRAIN: &str = "drain";

/// How many webhooks wait.
const BACKLOG: u64 = 200_000;

/// How many the bare programs are given: as many, since what Postgres holds in memory makes a row cheaper.
const BARE: u64 = BACKLOG;

/// For how long one transaction for each event is measured, in seconds.
const NAIVE_SECONDS: f64 = 5.0;

impl Bench {
    pub(super) async fn drain(&mut self) -> Result<()> {
        let began = Instant::now();
        for round in 1..=self.rounds {
            tell(began, &format!("drain, round {round}: the worker, from a backlog of {BACKLOG}"));
            let place = self.servers.place().await?;
            let stream = self.fill(&place, BACKLOG).await?;
            let (rate, cpu) = self.drained(&place, BACKLOG).await?;
            self.figures.add(DRAIN, "worker: stored", "/s", rate);
            let costs = cpu.per_event(BACKLOG);
            self.add_costs(DRAIN, "worker", &costs, &["worker", "broker", "postgres"]);
            let sent = Sent { count: BACKLOG, ..Sent::default() };
            verify(&place.pool, &Traffic::of(stream)?, &sent).await?.judge()?;
            self.servers.clear(place).await?;

            tell(began, &format!("drain, round {round}: deliveries alone"));
            let place = self.servers.place().await?;
            self.fill(&place, BARE).await?;
            let part = Part::Consume(Consuming { amqp: place.amqp.clone(), count: BARE });
            let (done, cpu) = self.play::<Done>("client", part, Vec::new()).await?;
            self.figures.add(DRAIN, "deliveries alone", "/s", done.rate());
            self.add_costs(DRAIN, "deliveries alone", &cpu.per_event(done.count), &["client", "broker"]);
            self.servers.clear(place).await?;

            tell(began, &format!("drain, round {round}: the worker's statements alone"));
            let place = self.servers.place().await?;
            let (database, stream) = (place.database.clone(), self.stream());
            let settings = place.settings.clone().into_iter().collect();
            let part = Part::Store(Storing { database, stream, count: BARE, settings });
            let (done, cpu) = self.play::<Done>("client", part, Vec::new()).await?;
            self.figures.add(DRAIN, "statements alone", "/s", done.rate());
            self.add_costs(DRAIN, "statements alone", &cpu.per_event(done.count), &["client", "postgres"]);
            self.servers.clear(place).await?;

            tell(began, &format!("drain, round {round}: one transaction for each event"));
            let place = self.servers.place().await?;
            let (database, stream) = (place.database.clone(), self.stream());
            let part = Part::Naive(Naive { database, stream, seconds: NAIVE_SECONDS });
            let (done, cpu) = self.play::<Done>("client", part, Vec::new()).await?;
            self.figures.add(DRAIN, "one transaction each", "/s", done.rate());
            self.add_costs(
                DRAIN,
                "one transaction each",
                &cpu.per_event(done.count),
                &["client", "postgres"],
            );
            self.servers.clear(place).await?;
        }
        let deliveries = self.cost(DRAIN, "deliveries alone", &["client", "broker"]);
        let statements = self.cost(DRAIN, "statements alone", &["client", "postgres"]);
        let limit = ceiling(deliveries + statements);
        self.figures.add(DRAIN, "ceiling by CPU", "/s", limit);
        let stored = self.figures.median(DRAIN, "worker: stored");
        self.figures.add(DRAIN, "stored / ceiling", "ratio", stored / limit);
        // What does not hang on how much of the cores a run was given.
        let whole = self.cost(DRAIN, "worker", &["worker", "broker", "postgres"]);
        self.figures.add(
            DRAIN,
            "CPU of the parts / of the whole",
            "ratio",
            (deliveries + statements) / whole,
        );
        let naive = self.figures.median(DRAIN, "one transaction each");
        self.figures.add(DRAIN, "stored / one transaction each", "ratio", stored / naive);
        Ok(())
    }

    /// Makes a backlog that stands, as ingest would.
    pub(super) async fn fill(&mut self, place: &Place, count: u64) -> Result<Stream> {
        let (amqp, stream) = (place.amqp.clone(), self.stream());
        let part = Publishing { amqp, stream: stream.clone(), seconds: 0.0, enveloped: count };
        self.play::<Done>("client", Part::Publish(part), Vec::new()).await?;
        self.servers.calm().await;
        Ok(stream)
    }

    /// Starts a worker on a backlog and waits for its end: webhooks a second, and what all of it cost.
    pub(super) async fn drained(&mut self, place: &Place, count: u64) -> Result<(f64, Cpu)> {
        let mut watched = self.servers.watched();
        let before = Cpu::of(&watched);
        let worker = place.worker()?;
        watched.push(Watched { name: "worker", pid: worker.pid() });
        place.projected(count).await?;
        let cpu = Cpu::of(&watched).since(&before);
        Ok((place.stored_a_second().await?, cpu))
    }
}
