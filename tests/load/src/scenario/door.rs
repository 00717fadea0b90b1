//! The door: how many webhooks a second become durable, against what HTTP, signatures and confirmed publishes cost by
//! themselves; and how long answers take at half of that rate.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, ceiling, tell};
use crate::bare::confirm::Confirming;
use crate::bare::publish::Publishing;
use crate::latency::Latency;
use crate::part::{Done, Part};
use crate::send::Sent;
use crate::traffic::Traffic;
use crate::usage::Watched;
use crate::verify::verify;

const DOOR: &str = "door";

/// How long a round of one case takes, in seconds; and how much of it is warm-up.
const SECONDS: f64 = 6.0;
const WARM_UP: f64 = 1.0;

impl Bench {
    pub(super) async fn door(&mut self) -> Result<()> {
        let began = Instant::now();
        for round in 1..=self.rounds {
            tell(began, &format!("door, round {round}: HTTP and signatures alone"));
            self.bare_door(DOOR, SECONDS, WARM_UP).await?;
            tell(began, &format!("door, round {round}: confirmed publishes alone"));
            self.bare_publishes().await?;
            tell(began, &format!("door, round {round}: ingest, flat out"));
            let sent = self.ingest("flat out", None, SECONDS).await?;
            self.figures.add(DOOR, "ingest: durable", "/s", sent.rate);
        }
        let http = self.cost(DOOR, "HTTP alone", &["generator", "http"]);
        let publishes = self.cost(DOOR, "publishes alone", &["client", "broker"]);
        let limit = ceiling(http + publishes);
        self.figures.add(DOOR, "ceiling by CPU", "/s", limit);
        let durable = self.figures.median(DOOR, "ingest: durable");
        self.figures.add(DOOR, "durable / ceiling", "ratio", durable / limit);
        // What does not hang on how much of the cores a run was given.
        let whole = self.cost(DOOR, "flat out", &["generator", "ingest", "broker"]);
        self.figures.add(DOOR, "CPU of the parts / of the whole", "ratio", (http + publishes) / whole);

        for round in 1..=self.rounds {
            let rate = (durable / 2.0).round();
            tell(began, &format!("door, round {round}: confirms alone, by a schedule of {rate}/s"));
            let confirmed = self.bare_confirms(rate).await?;
            tell(began, &format!("door, round {round}: ingest, by a schedule of {rate}/s"));
            let sent = self.ingest("half", Some(rate), 2.0 * SECONDS).await?;
            self.figures.add(DOOR, "half: rate", "/s", sent.rate);
            for (name, value) in [
                ("half: confirms alone, p50", confirmed.p50),
                ("half: confirms alone, p99", confirmed.p99),
                ("half: confirms alone, p99.9", confirmed.p999),
                ("half: confirms alone, longest", confirmed.max),
                ("half: p50", sent.latency.p50),
                ("half: p99", sent.latency.p99),
                ("half: p99.9", sent.latency.p999),
                ("half: longest answer", sent.latency.max),
                ("half: longest silence", sent.silence),
            ] {
                self.figures.add(DOOR, name, "ms", value);
            }
            self.figures.add(DOOR, "half: answers later than 100 ms", "", sent.latency.late as f64);
        }
        Ok(())
    }

    async fn bare_publishes(&mut self) -> Result<()> {
        let place = self.servers.place().await?;
        let (amqp, stream) = (place.amqp.clone(), self.stream());
        let part = Part::Publish(Publishing { amqp, stream, seconds: SECONDS, enveloped: 0 });
        let (done, cpu) = self.play::<Done>("client", part, Vec::new()).await?;
        self.figures.add(DOOR, "publishes alone", "/s", done.rate());
        self.add_costs(DOOR, "publishes alone", &cpu.per_event(done.count), &["client", "broker"]);
        self.servers.clear(place).await
    }

    /// What an answer can't be sooner than, at this rate.
    async fn bare_confirms(&mut self, rate: f64) -> Result<Latency> {
        let place = self.servers.place().await?;
        let (amqp, stream) = (place.amqp.clone(), self.stream());
        let part = Part::Confirm(Confirming { amqp, stream, rate, seconds: 2.0 * SECONDS, warm_up: WARM_UP });
        let (latency, cpu) = self.play::<Latency>("client", part, Vec::new()).await?;
        self.add_costs(DOOR, "confirms alone", &cpu.per_event(latency.count), &["client", "broker"]);
        self.servers.clear(place).await?;
        Ok(latency)
    }

    /// Loads ingest, and then lets a worker store everything, so that it can be looked for.
    async fn ingest(&mut self, case: &str, rate: Option<f64>, seconds: f64) -> Result<Sent> {
        let place = self.servers.place().await?;
        let mut ingest = place.ingest().await?;
        let sending = self.load(place.door, rate, seconds, WARM_UP);
        let traffic = Traffic::of(sending.stream.clone())?;
        let watched = vec![Watched { name: "ingest", pid: ingest.pid() }];
        let (sent, cpu) = self.play::<Sent>("generator", Part::Send(sending), watched).await?;
        let costs = cpu.per_event(sent.count);
        self.add_costs(DOOR, case, &costs, &["generator", "ingest", "broker"]);
        self.figures.add(DOOR, &format!("{case}: not answered 200"), "", sent.refused.len() as f64);
        ingest.terminate(harness::product::READY_DEADLINE).await?;
        let worker = place.worker()?;
        place.projected(sent.count - sent.refused.len() as u64).await?;
        verify(&place.pool, &traffic, &sent).await?.judge()?;
        drop(worker);
        self.servers.clear(place).await?;
        Ok(sent)
    }
}
