//! `make bench`: measures Buzón against the raw limits of the machine it runs on. `buzon-load send` and `verify` load
//! a running one by hand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person")]

mod by_hand;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use harness::process::leftovers;
use harness::servers::{packages, reachable_home};
use harness::{product, scratch};
use load::chart;
use load::count::{self, Case};
use load::figures::{Figures, Run};
use load::part::Part;
use load::place::Servers;
use load::report;
use load::scenario::{ALL, Bench};
use load::traffic::Dialect;
use load::usage;
use mimalloc::MiMalloc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The product's: bare programs are not to be slower for another reason than what they leave out.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The names of the runs' directories; the process id follows.
const RUN: &str = "bench-";

/// How fast Buzón is, against the raw limits of this machine.
#[derive(Parser)]
#[command(name = "buzon-load")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything, on servers of its own, and write the results down
    Bench(Options),
    /// Send webhooks to a running ingest
    Send(by_hand::Send),
    /// Look for the webhooks that `send` has sent
    Verify(by_hand::Verify),
    /// Count the instructions of the hot pure parts, and fail if one takes more than was accepted
    Count(Count),
    /// Play a part of the bench (a process of its own)
    #[command(hide = true)]
    Part {
        /// Which, as JSON
        part: String,
    },
}

#[derive(clap::Args)]
struct Options {
    /// Only this scenario
    #[arg(long)]
    only: Option<String>,
    /// The long ones as well: some hours
    #[arg(long)]
    long: bool,
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The shape of the webhooks: guide, v2 or meta
    #[arg(long, default_value = "v2")]
    dialect: Dialect,
}

#[derive(clap::Args)]
struct Count {
    /// Accept what is counted
    #[arg(long)]
    accept: bool,
    /// Play a case (a process of its own)
    #[arg(long, hide = true)]
    play: Option<Case>,
    #[arg(long, hide = true, default_value_t = 1)]
    times: u64,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Count(Count { play: Some(case), times, .. }) => case.play(times),
        Command::Count(Count { accept, .. }) => {
            count::run(accept).map(|told| told.iter().for_each(|line| println!("{line}")))
        }
        Command::Part { part } => in_runtime(serde_json::from_str::<Part>(&part).map(Part::play)),
        Command::Bench(options) => in_runtime(anyhow::Ok(bench(options))),
        Command::Send(send) => in_runtime(anyhow::Ok(send.run())),
        Command::Verify(verify) => in_runtime(anyhow::Ok(verify.run())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("buzon-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread is enough for each of them, and is easily told apart from what is measured.
fn in_runtime<E: Into<anyhow::Error>>(task: Result<impl Future<Output = Result<()>>, E>) -> Result<()> {
    let task = task.map_err(Into::into)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

async fn bench(options: Options) -> Result<()> {
    let wanted = |name: &str, long: bool| match &options.only {
        Some(only) => only == name,
        None => options.long || !long,
    };
    let scenarios: Vec<_> =
        ALL.iter().filter(|(name, long)| wanted(name, *long)).map(|(name, _)| *name).collect();
    let names = ALL.map(|(name, _)| name).join(", ");
    ensure!(!scenarios.is_empty(), "no such scenario; there are {names}");
    if cfg!(debug_assertions) {
        eprintln!("buzon-load: a debug build: these figures say nothing (make bench builds a release)");
    }
    tokio::task::spawn_blocking(packages::install_missing).await??;
    let checkout = scratch::checkout()?;
    let home = reachable_home(&checkout.join(".run"))?;
    scratch::remove_dead_runs(&home, RUN).await?;
    let dir = home.join(format!("{RUN}{}", std::process::id()));
    product::binaries::path("ingest").and(product::binaries::path("worker"))?;

    let mut bench = Bench {
        servers: Servers::start(&dir).await?,
        figures: Figures::read(&report::kept_in(&checkout))?,
        dialect: options.dialect,
        rounds: options.rounds,
        streams: Cell::new(0),
    };
    let machine = report::machine();
    println!("{machine}; load average {}", usage::load_average());
    let mut outcome = Ok(());
    for scenario in scenarios {
        let (at, load_before) = (OffsetDateTime::now_utc().format(&Rfc3339)?, usage::load_average());
        let start = Instant::now();
        let (scenario_name, machine) = (scenario.to_owned(), machine.clone());
        let run = Run { scenario: scenario_name, machine, at, load_before, seconds: 0.0 };
        bench.figures.begin(run.clone());
        outcome = bench.measure(scenario).await.with_context(|| scenario.to_owned());
        if outcome.is_err() {
            break;
        }
        bench.figures.finished(scenario, start.elapsed());
        println!("{}", report::table(&bench.figures, scenario));
        bench.figures.write(&report::kept_in(&checkout))?;
    }
    println!("load average {} at the end", usage::load_average());
    drop(bench.servers);
    leftovers::stop(&dir).await?;
    match outcome {
        Ok(()) => {
            std::fs::remove_dir_all(&dir)?;
            chart::write(&bench.figures, &checkout)?;
            report::write(&bench.figures, &checkout)
        }
        Err(error) => Err(error.context(format!("logs and data are in {}", dir.display()))),
    }
}
