//! `make test-compose`: builds what is shipped for Docker, runs it on a real engine, and proves what it promises.
//!
//! Everything of it belongs to one compose project, [`place::PROJECT`]; nothing else on the engine is touched.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person")]

mod book;
mod cache;
mod compose;
mod engine;
mod place;
mod scene;
mod sender;
mod shipped;
mod stand_in;
mod verdict;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::engine::Engine;
use crate::place::Place;
use crate::scene::Scene;

/// There is no Docker engine here: nothing was tried. The code by which test harnesses say "skipped".
const NO_ENGINE: u8 = 77;

/// Proves the files that are shipped for Docker, on a real engine.
#[derive(Parser)]
#[command(name = "buzon-compose")]
struct Cli {
    /// Build, start, look at the containers, one webhook, doctor, stop: none of the longer parts
    #[arg(long, conflicts_with = "only")]
    short: bool,
    /// Beside the short form, only this part
    #[arg(long)]
    only: Option<Part>,
    /// Build nothing: take our images as an earlier run left them
    #[arg(long)]
    no_build: bool,
    /// Webhooks a second, while things go wrong
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Leave everything running, for a look
    #[arg(long)]
    keep: bool,
}

/// The longer parts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The profile public: TLS, one path, the body as it was sent
    Public,
    /// Scaling, restarts, kills and a stop under load
    Load,
    /// Webhooks taken without a broker outlive `down`
    Spool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let engine = match Engine::find().await {
        Ok(engine) => engine,
        Err(why) => {
            println!("No Docker engine, so nothing was tried: {why:#}");
            return ExitCode::from(NO_ENGINE);
        }
    };
    match prove(&cli, engine).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("buzon-compose: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn prove(cli: &Cli, engine: Engine) -> Result<()> {
    let all = Instant::now();
    let place = Place::make(engine).await?;
    let done = tokio::select! {
        done = act(cli, &place) => done,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    if done.is_err() {
        // Before the containers go: what they said.
        eprintln!("{}", place.compose.logs().await);
    }
    if cli.keep {
        println!("Left as it is: {}", place.compose.by_hand());
        return done;
    }
    step("clean up", place.clean_up()).await?;
    println!("== all: {:.0} s", all.elapsed().as_secs_f64());
    done
}

async fn act(cli: &Cli, place: &Place) -> Result<()> {
    let wants = |part| !cli.short && cli.only.is_none_or(|only| only == part);
    step("images to build on", stand_in::provide(place)).await?;
    if !cli.no_build {
        step("build", place.compose.build()).await?;
        step("keep what was built for the next time", cache::keep(place)).await?;
    }
    let mut scene = Scene::new(place)?;
    step("up", scene.up()).await?;
    step("the containers", scene.containers()).await?;
    step("the broker's limits", scene.limits()).await?;
    step("a webhook and its reply", scene.one_webhook()).await?;
    step("doctor", scene.doctor()).await?;
    if wants(Part::Public) {
        step("profile public", scene.public()).await?;
    }
    if wants(Part::Load) {
        scene.load(cli.rate).await?;
    }
    if wants(Part::Spool) {
        step("spool", scene.spool()).await?;
    }
    step("what became of everything", scene.judge()).await?;
    println!("Nothing was lost, nothing happened twice.");
    Ok(())
}

/// Does one piece of work, and says how long it took and what came of it.
async fn step<T: Said>(what: &str, work: impl Future<Output = Result<T>>) -> Result<()> {
    let start = Instant::now();
    println!("   {what} …");
    let done = work.await;
    let took = start.elapsed().as_secs_f64();
    match &done {
        Ok(said) => println!("== {what}: {took:.1} s{}", said.said()),
        Err(_) => println!("== {what}: {took:.1} s, failed"),
    }
    done.map(|_| ())
}

/// What a step has to tell.
trait Said {
    fn said(&self) -> String;
}

impl Said for () {
    fn said(&self) -> String {
        String::new()
    }
}

impl Said for String {
    fn said(&self) -> String {
        format!("; {self}")
    }
}

/// Tells the person who waits.
fn say(line: &str) {
    println!("{line}");
}

/// Seconds, for a person.
fn seconds(of: Duration) -> impl Display {
    format!("{:.1} s", of.as_secs_f64())
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
