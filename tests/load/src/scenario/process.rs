//! What a process is by itself: its memory, idle and under load, and how long it takes to be ready.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::product::READY_DEADLINE;

use super::{Bench, tell};
use crate::part::Part;
use crate::send::Sent;
use crate::usage::memory;

const MEMORY: &str = "memory";
const START: &str = "start";

/// How long a process is left alone before it counts as idle.
const IDLE: Duration = Duration::from_secs(5);

/// How long the load lasts, in seconds.
const SECONDS: f64 = 20.0;

impl Bench {
    pub(super) async fn memory(&mut self) -> Result<()> {
        let began = Instant::now();
        let place = self.servers.place().await?;
        let (ingest, mut worker) = (place.ingest().await?, place.worker()?);
        worker.ready(READY_DEADLINE).await?;
        tell(began, "memory: idle");
        tokio::time::sleep(IDLE).await;
        for (name, pid) in [("ingest", ingest.pid()), ("worker", worker.pid())] {
            self.figures.add(MEMORY, &format!("{name}: idle"), "MiB", memory(pid).0);
        }
        tell(began, "memory: flat out, both of them");
        let sending = self.load(place.door, None, SECONDS, 0.0);
        let (sent, _) = self.play::<Sent>("generator", Part::Send(sending), Vec::new()).await?;
        for (name, pid) in [("ingest", ingest.pid()), ("worker", worker.pid())] {
            let (now, most) = memory(pid);
            self.figures.add(MEMORY, &format!("{name}: under load"), "MiB", now);
            self.figures.add(MEMORY, &format!("{name}: at the most"), "MiB", most);
        }
        self.figures.add(MEMORY, "load", "/s", sent.rate);
        place.projected(sent.count - sent.refused.len() as u64).await?;
        tokio::time::sleep(IDLE).await;
        for (name, pid) in [("ingest", ingest.pid()), ("worker", worker.pid())] {
            self.figures.add(MEMORY, &format!("{name}: idle again"), "MiB", memory(pid).0);
        }
        drop((ingest, worker));
        self.servers.clear(place).await
    }

    pub(super) async fn start(&mut self) -> Result<()> {
        let place = self.servers.place().await?;
        for _ in 0..self.rounds.max(3) {
            let start = Instant::now();
            let ingest = place.ingest().await?;
            self.figures.add(START, "ingest: to ready, with its broker", "ms", ms(start));
            let start = Instant::now();
            let mut worker = place.worker()?;
            worker.ready(READY_DEADLINE).await?;
            self.figures.add(START, "worker: to ready", "ms", ms(start));
            drop((ingest, worker));
        }
        self.servers.clear(place).await
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
