//! The spool: how many webhooks a second are accepted with the broker stopped, against what the disk takes by itself.

use std::time::Instant;

use anyhow::Result;
use harness::product::READY_DEADLINE;

use super::{Bench, CONNECTIONS, ceiling, tell};
use crate::bare::sync::Syncing;
use crate::part::{Done, Part};
use crate::send::Sent;
use crate::traffic::Traffic;
use crate::usage::Watched;
use crate::verify::verify;

const SPOOL: &str = "spool";

const SECONDS: f64 = 6.0;
const WARM_UP: f64 = 1.0;

impl Bench {
    pub(super) async fn spool(&mut self) -> Result<()> {
        let began = Instant::now();
        for round in 1..=self.rounds {
            tell(began, &format!("spool, round {round}: groups of {CONNECTIONS}, written and synced"));
            let place = self.servers.place().await?;
            let (dir, stream) = (place.dir().join("bare"), self.stream());
            // So many webhooks wait at once, and are synced together at the most.
            let part = Syncing { dir, stream, group: CONNECTIONS as u64, seconds: SECONDS };
            let (done, cpu) = self.play::<Done>("disk", Part::Sync(part), Vec::new()).await?;
            self.figures.add(SPOOL, "disk alone", "/s", done.rate());
            self.add_costs(SPOOL, "disk alone", &cpu.per_event(done.count), &["disk"]);

            tell(began, &format!("spool, round {round}: HTTP and signatures alone"));
            self.bare_door(SPOOL, SECONDS, WARM_UP).await?;

            tell(began, &format!("spool, round {round}: ingest, with the broker stopped"));
            let ingest = place.ingest().await?;
            self.servers.rabbitmq.stop_app().await?;
            let sending = self.load(place.door, None, SECONDS, WARM_UP);
            let traffic = Traffic::of(sending.stream.clone())?;
            let watched = vec![Watched { name: "ingest", pid: ingest.pid() }];
            let played = self.play::<Sent>("generator", Part::Send(sending), watched).await;
            // The next round needs it, whatever became of this one.
            self.servers.rabbitmq.start_app().await?;
            let (sent, cpu) = played?;
            self.figures.add(SPOOL, "ingest: accepted", "/s", sent.rate);
            self.figures.add(SPOOL, "ingest: p99", "ms", sent.latency.p99);
            self.figures.add(SPOOL, "ingest: not answered 200", "", sent.refused.len() as f64);
            self.add_costs(SPOOL, "ingest", &cpu.per_event(sent.count), &["generator", "ingest"]);

            tell(began, &format!("spool, round {round}: drained and stored"));
            let worker = place.worker()?;
            place.projected(sent.count - sent.refused.len() as u64).await?;
            verify(&place.pool, &traffic, &sent).await?.judge()?;
            drop(worker);
            let mut ingest = ingest;
            ingest.terminate(READY_DEADLINE).await?;
            self.servers.clear(place).await?;
        }
        let accepted = self.figures.median(SPOOL, "ingest: accepted");
        self.figures.add(
            SPOOL,
            "accepted / disk alone",
            "ratio",
            accepted / self.figures.median(SPOOL, "disk alone"),
        );
        let http = self.cost(SPOOL, "HTTP alone", &["generator", "http"]);
        let limit = ceiling(http + self.cost(SPOOL, "disk alone", &["disk"]));
        self.figures.add(SPOOL, "ceiling by CPU", "/s", limit);
        self.figures.add(SPOOL, "accepted / ceiling", "ratio", accepted / limit);
        Ok(())
    }
}
