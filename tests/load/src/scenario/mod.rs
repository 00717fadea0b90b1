//! What is measured, one file for each scenario.

mod door;
mod drain;
mod end_to_end;
mod growth;
mod process;
mod spool;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use harness::ports;
use harness::stage::SECRET;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::bare::door::BareDoor;
use crate::figures::Figures;
use crate::part::{Part, Playing};
use crate::place::Servers;
use crate::send::{Sending, Sent};
use crate::traffic::{Dialect, Stream};
use crate::usage::{Cpu, Watched};

/// How many connections a load has. By a schedule, an answer that is late must not keep the next request from leaving;
/// flat out, so many webhooks wait for the broker at once, which is given 1,024 by the bare client.
const CONNECTIONS: usize = 256;

/// What every scenario works with.
pub struct Bench {
    /// The servers.
    pub servers: Servers,
    /// Where results go.
    pub figures: Figures,
    /// The shape of the webhooks.
    pub dialect: Dialect,
    /// How often everything is measured.
    pub rounds: u32,
    /// How many streams there have been: each has a name of its own, also in one database.
    pub streams: Cell<u32>,
}

/// The scenarios by name, in order; and whether they belong to long runs only.
pub const ALL: [(&str, bool); 11] = [
    ("door", false),
    ("drain", false),
    (end_to_end::RUNS[0].0, false),
    (end_to_end::RUNS[1].0, false),
    ("spool", false),
    ("memory", false),
    ("start", false),
    ("growth", true),
    (end_to_end::RUNS[2].0, true),
    (end_to_end::RUNS[3].0, true),
    (end_to_end::RUNS[4].0, true),
];

impl Bench {
    /// Measures one scenario.
    ///
    /// # Errors
    ///
    /// When something does not work, or a webhook is lost.
    pub async fn measure(&mut self, scenario: &str) -> Result<()> {
        match scenario {
            "door" => self.door().await,
            "drain" => self.drain().await,
            "spool" => self.spool().await,
            "memory" => self.memory().await,
            "start" => self.start().await,
            "growth" => self.growth().await,
            other => match end_to_end::RUNS.iter().find(|(name, ..)| *name == other) {
                Some((name, rate, seconds)) => self.steadily(name, *rate, *seconds).await,
                None => anyhow::bail!("no scenario {other}"),
            },
        }
    }

    /// A stream of this bench that is like no other.
    fn stream(&self) -> Stream {
        self.streams.set(self.streams.get() + 1);
        Stream {
            dialect: self.dialect,
            name: self.streams.get().to_string(),
            contacts: 10_000,
            ask_every: 4,
            since: OffsetDateTime::now_utc().unix_timestamp(),
            rate: 0.0,
        }
    }

    /// A load of it.
    fn load(&self, door: SocketAddr, rate: Option<f64>, seconds: f64, warm_up: f64) -> Sending {
        Sending {
            door,
            secret: SECRET.to_owned(),
            stream: self.stream(),
            first: 0,
            connections: CONNECTIONS,
            rate,
            seconds,
            warm_up,
        }
    }

    /// HTTP and signatures with nothing behind them, under the same load.
    async fn bare_door(&mut self, scenario: &str, seconds: f64, warm_up: f64) -> Result<()> {
        let addr = ports::loopback(ports::free()?);
        let door = Playing::start(&Part::Door(BareDoor { addr, secret: SECRET.to_owned() })).await?;
        // It says that it is prepared before it listens.
        harness::wait::until("the bare door", harness::product::READY_DEADLINE, async || {
            tokio::net::TcpStream::connect(addr).await.is_ok()
        })
        .await?;
        let sending = self.load(addr, None, seconds, warm_up);
        let watched = vec![Watched { name: "http", pid: door.pid() }];
        let (sent, cpu) = self.play::<Sent>("generator", Part::Send(sending), watched).await?;
        anyhow::ensure!(sent.refused.is_empty(), "the bare door refused {}", sent.refused.len());
        self.figures.add(scenario, "HTTP alone", "/s", sent.rate);
        self.add_costs(scenario, "HTTP alone", &cpu.per_event(sent.count), &["generator", "http"]);
        Ok(())
    }

    /// Plays a part, and tells what it and others have used meanwhile.
    async fn play<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        part: Part,
        mut watched: Vec<Watched>,
    ) -> Result<(T, Cpu)> {
        watched.extend(self.servers.watched());
        let mut playing = Playing::start(&part).await?;
        watched.push(Watched { name, pid: playing.pid() });
        let before = Cpu::of(&watched);
        playing.go().await?;
        let done = playing.done().await?;
        Ok((done, Cpu::of(&watched).since(&before)))
    }

    /// Notes what an event cost whom.
    fn add_costs(&mut self, scenario: &str, case: &str, costs: &BTreeMap<&'static str, f64>, of: &[&str]) {
        for name in of {
            let cost = costs.get(name).copied().unwrap_or_default();
            self.figures.add(scenario, &format!("{case}: {name} CPU"), "µs/event", cost);
        }
    }

    /// What an event costs in a case, by the median of the rounds.
    fn cost(&self, scenario: &str, case: &str, of: &[&str]) -> f64 {
        of.iter().map(|name| self.figures.median(scenario, &format!("{case}: {name} CPU"))).sum()
    }
}

/// Events a second that all cores could do together, at so many microseconds for each.
fn ceiling(us_per_event: f64) -> f64 {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64 * 1e6 / us_per_event
}

/// Says what is being done, and after how long.
#[expect(clippy::print_stderr, reason = "somebody waits and wants to know for what")]
fn tell(since: Instant, what: &str) {
    eprintln!("{:>7.1} s  {what}", since.elapsed().as_secs_f64());
}
