//! `make chaos`: kills, stops, blocks, cuts and fills what Buzón runs on, and proves that nothing was lost.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person")]

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use harness::chaos::{Options, Run, plan::Plan};
use harness::process::leftovers;
use harness::servers::{packages, reachable_home};
use harness::{chaos, scratch};
use tokio_util::sync::CancellationToken;

/// The names of the runs' directories; the process id follows.
const RUN: &str = "chaos-";

/// Kapso gives up two and a half minutes after the first try; here after three quarters of a minute.
const RETRY_SCALE: f64 = 0.3;

/// Strikes a running Buzón with faults, and looks for everything that it has promised.
#[derive(Parser)]
#[command(name = "buzon-chaos")]
struct Cli {
    /// What a run is repeated by; chosen at random unless given
    #[arg(long, value_parser = clap::value_parser!(u64))]
    seed: Option<u64>,
    /// How many faults
    #[arg(long, default_value_t = 300)]
    faults: usize,
    /// Webhooks a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await.unwrap_or_else(|error| {
        eprintln!("buzon-chaos: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> Result<ExitCode> {
    ensure!(cli.rate >= 1.0 && cli.rate <= 10_000.0, "a rate from 1 to 10000 webhooks a second");
    let seed = cli.seed.unwrap_or_else(|| rand::random::<u32>().into());
    println!("SEED={seed} FAULTS={} RATE={}", cli.faults, cli.rate);
    tokio::task::spawn_blocking(packages::install_missing).await??;
    let home = reachable_home(&scratch::checkout()?.join(".run"))?;
    scratch::remove_dead_runs(&home, RUN).await?;
    let dir = home.join(format!("{RUN}{}", std::process::id()));
    println!("logs are in {}", dir.display());

    let plan = Plan::long(seed, cli.faults);
    let stop = CancellationToken::new();
    let run = Run::new(Options { seed, rate: cli.rate, retry_scale: RETRY_SCALE, plan }, stop.clone());
    let watcher: chaos::Watcher = Box::new(|line| println!("{line}"));
    let complaints = tokio::select! {
        complaints = run.go(&dir, watcher) => Some(complaints),
        () = second_interrupt(&stop) => None,
    };
    leftovers::stop(&dir).await?;
    println!("\n{}\n{} faults; SEED={seed}; logs are in {}", run.table(), run.faults(), dir.display());
    let complaints = match complaints {
        Some(complaints) => complaints.with_context(|| format!("the run with SEED={seed} broke off"))?,
        None => vec!["interrupted before anything could be looked for".to_owned()],
    };
    complaints.iter().for_each(|complaint| println!("WRONG: {complaint}"));
    if complaints.is_empty() {
        println!("Nothing was lost, nothing happened twice.");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The first Ctrl-C ends the faults; the second ends everything.
async fn second_interrupt(stop: &CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !stop.is_cancelled() {
            println!("No more faults; looking at what there is (once more: at once)");
        }
        stop.cancel();
    }
}
