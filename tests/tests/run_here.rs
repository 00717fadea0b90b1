//! `buzon-dev run`, as `make run` runs it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::process::{Launch, Process, Signal, leftovers};
use harness::{ports, product, scratch, wait};
use tokio::sync::Mutex;

const DEADLINE: Duration = Duration::from_secs(90);

/// One test at a time: a run looks for the ports that people know some seconds before it takes
/// them, and two that begin at once would find the same ones free.
static ALONE: Mutex<()> = Mutex::const_new(());

/// In a checkout of its own, as far as the program can tell.
fn checkout() -> Result<PathBuf> {
    let dir = scratch::dir()?;
    std::fs::create_dir(dir.join("migrations"))?;
    std::fs::write(dir.join("Cargo.toml"), "")?;
    Ok(dir)
}

fn run(checkout: &Path, nth: u8, door: &str) -> Result<Process> {
    Launch::new("buzon-dev", product::binaries::path("buzon-dev")?, checkout)
        .args(["run"])
        .envs([("INGEST_ADDR", door)])
        .logging_to(checkout.join(format!("run-{nth}.log")))
        .start()
}

async fn up(run: &mut Process) -> Result<()> {
    wait::until("the whole product to run", DEADLINE, async || {
        ensure!(run.ended()?.is_none(), "it ended");
        anyhow::Ok(run.log().contains("It runs."))
    })
    .await
    .with_context(|| run.log())
}

/// Everything below `.run` has ended.
fn nothing_left(checkout: &Path) -> Result<()> {
    let left = leftovers::in_dir(&checkout.join(".run"));
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

#[tokio::test]
async fn one_run_at_a_time_that_stops_everything_it_started() -> Result<()> {
    let _alone = ALONE.lock().await;
    let checkout = checkout()?;
    let door = ports::loopback(ports::free()?).to_string();
    let mut first = run(&checkout, 1, &door)?;
    up(&mut first).await?;

    let mut second = run(&checkout, 2, &door)?;
    ensure!(second.end(DEADLINE).await?.code() == Some(1));
    ensure!(second.log().contains(&format!("already running in this checkout (process {})", first.pid())));
    ensure!(first.ended()?.is_none(), "the second run broke the first");

    // It would use the servers of the first. (That one is running is another reason, which it must not get to.)
    let refused = in_a_shell(&checkout, "buzon-dev run").await;
    ensure!(refused.as_ref().is_err_and(|why| why.to_string().contains("has read .run/env")), "{refused:?}");
    in_a_shell(&checkout, "worker doctor && psql -Atc 'SELECT count(*) FROM messages' \"$DATABASE_URL\"")
        .await?;

    ensure!(first.stop(Signal::Interrupt, DEADLINE).await?.code() == Some(0), "{}", first.log());
    ensure!(!checkout.join(".run/env").exists(), "it says where something is that is not there");
    nothing_left(&checkout)
}

/// A shell that has read `.run/env` finds the programs, and they find what runs here.
async fn in_a_shell(checkout: &Path, command: &str) -> Result<()> {
    let env = checkout.join(".run/env");
    ensure!(std::fs::metadata(&env)?.permissions().mode() & 0o077 == 0, "others may read {}", env.display());
    let mut shell = tokio::process::Command::new("sh");
    let done = shell.args(["-c", &format!(". .run/env && {command}")]).current_dir(checkout).output().await?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[tokio::test]
async fn a_program_that_dies_is_named_with_its_log_and_everything_else_stops() -> Result<()> {
    let _alone = ALONE.lock().await;
    let checkout = checkout()?;
    let mut it = run(&checkout, 1, &ports::loopback(ports::free()?).to_string())?;
    up(&mut it).await?;
    let pid = leftovers::in_dir(&checkout.join(".run/product")).into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "worker")
    });
    let pid = pid.context("a worker")?.to_string();
    let killed = tokio::process::Command::new("sh").args(["-c", r#"kill -9 "$0""#, &pid]).status().await?;
    ensure!(killed.success());
    ensure!(it.end(DEADLINE).await?.code() == Some(1));
    let log = it.log();
    ensure!(log.contains("worker ended (signal: 9 (SIGKILL)); the end of "), "{log}");
    nothing_left(&checkout)
}

#[tokio::test]
async fn a_taken_door_is_told_with_the_remedy_before_anything_is_started() -> Result<()> {
    let checkout = checkout()?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    let door = other.local_addr()?.to_string();
    let mut it = run(&checkout, 1, &door)?;
    ensure!(it.end(DEADLINE).await?.code() == Some(1));
    let log = it.log();
    ensure!(
        log.contains(&format!("{door} is taken")) && log.contains("INGEST_ADDR=127.0.0.1:8001 make run"),
        "{log}"
    );
    ensure!(!checkout.join(".run/postgres").exists());
    Ok(())
}
