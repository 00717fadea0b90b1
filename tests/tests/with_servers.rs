//! `buzon-dev with-servers`, run as `make test` runs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use harness::process::{Launch, Process, Signal, leftovers};
use harness::{product, scratch, wait};

const DEADLINE: Duration = Duration::from_secs(60);

/// In a checkout of its own, as far as the program can tell.
fn checkout() -> Result<PathBuf> {
    let dir = scratch::dir()?;
    std::fs::create_dir(dir.join("migrations"))?;
    std::fs::write(dir.join("Cargo.toml"), "")?;
    Ok(dir)
}

fn with_servers(checkout: &Path, script: &str) -> Result<Process> {
    Launch::new("buzon-dev", product::binaries::path("buzon-dev")?, checkout)
        .args(["with-servers", "--", "sh", "-c", script])
        .start()
}

fn runs(checkout: &Path) -> Result<Vec<PathBuf>> {
    Ok(std::fs::read_dir(checkout.join(".run"))?.flatten().map(|run| run.path()).collect())
}

#[tokio::test]
async fn the_exit_code_is_the_commands_and_a_failed_run_is_kept_until_the_next() -> Result<()> {
    let checkout = checkout()?;
    let mut failed = with_servers(&checkout, "exit 7")?;
    ensure!(failed.end(DEADLINE).await?.code() == Some(7));
    let kept = runs(&checkout)?;
    let [kept] = kept.as_slice() else { bail!("one run is kept: {kept:?}") };
    ensure!(failed.log().contains(&kept.display().to_string()), "{}", failed.log());
    ensure!(leftovers::in_dir(kept).is_empty());

    let mut passed = with_servers(&checkout, "test -d \"$BUZON_TEST_DIR\"")?;
    ensure!(passed.end(DEADLINE).await?.code() == Some(0), "{}", passed.log());
    ensure!(runs(&checkout)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_signal_stops_the_command_with_all_its_children_and_the_servers() -> Result<()> {
    let checkout = checkout()?;
    let mut run = with_servers(&checkout, "echo started; sleep 1000 & sleep 1000")?;
    wait::until("the command", DEADLINE, async || run.log().contains("started")).await?;
    ensure!(run.stop(Signal::Terminate, DEADLINE).await?.code() == Some(143));
    ensure!(leftovers::in_dir(&checkout.join(".run")).is_empty());
    Ok(())
}

#[tokio::test]
async fn what_a_killed_run_left_is_stopped_by_the_next() -> Result<()> {
    let checkout = checkout()?;
    let mut crashed = with_servers(&checkout, "echo started; sleep 1000")?;
    wait::until("the command", DEADLINE, async || crashed.log().contains("started")).await?;
    crashed.kill();
    let left = leftovers::in_dir(&checkout.join(".run"));
    ensure!(left.len() >= 3, "Postgres, RabbitMQ and the command live on: {left:?}");

    let mut next = with_servers(&checkout, "true")?;
    ensure!(next.end(DEADLINE).await?.code() == Some(0), "{}", next.log());
    ensure!(leftovers::in_dir(&checkout.join(".run")).is_empty());
    ensure!(runs(&checkout)?.is_empty());
    Ok(())
}
