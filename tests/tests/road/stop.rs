//! Stopping loses nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::process::Signal;
use harness::wait;
use kapso_sim::{Fault, Outcome, Times};

use crate::scene::{PATIENCE, Road};

/// The worker's own deadline unless configured.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn sigterm_under_load_loses_nothing_and_doubles_nothing() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_WINDOW", "5");
    let _ingest = road.stage.ingest().await?;
    // Replies take their time: some are on their way when the worker is asked to stop.
    road.sim.fault(Fault::next_send(Outcome::Delay(Duration::from_millis(300))).times(Times::Chance(0.5)));
    let mut asked = Vec::new();
    for round in 1..=3 {
        let mut worker = road.stage.worker().await?;
        let next = asked.len();
        asked.extend(road.ask(next..next + 40));
        wait::until(&format!("round {round} to be answered in part"), PATIENCE, async || {
            let sent = road.sim.accepted_sends().len();
            sent >= next.saturating_sub(20) + 10
        })
        .await?;
        let status = worker.terminate(DEADLINE).await?;
        ensure!(status.code() == Some(0), "{status}: {}", worker.log());
        ensure!(worker.log().contains("\"stopped\""), "{}", worker.log());
    }
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}

#[tokio::test]
async fn a_database_that_does_not_answer_does_not_keep_it() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_SHUTDOWN_DEADLINE_MS", "2000");
    let _ingest = road.stage.ingest().await?;
    let mut worker = road.stage.worker().await?;
    let barrier = road.barrier().await?;
    let asked = road.ask(0..10);
    road.held_up(1).await?;
    let asked_to_stop = Instant::now();
    let status = worker.terminate(DEADLINE).await?;
    ensure!(status.code() == Some(0), "{status}: {}", worker.log());
    ensure!(asked_to_stop.elapsed() < Duration::from_secs(6), "it took {:?}", asked_to_stop.elapsed());
    barrier.lift().await?;
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}

#[tokio::test]
async fn it_stops_while_it_waits_for_its_schema() -> Result<()> {
    let road = Road::new().await?;
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&road.pool).await?;
    let mut worker = road.stage.worker_unready()?;
    wait::until("it to wait", PATIENCE, async || worker.log().contains("worker migrate")).await?;
    let status = worker.terminate(Duration::from_secs(5)).await?;
    ensure!(status.code() == Some(0), "{status}: {}", worker.log());
    Ok(())
}

#[tokio::test]
async fn it_stops_while_the_database_is_away() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, mut worker] = road.open().await?;
    sqlx::raw_sql("ALTER TABLE messages RENAME TO elsewhere").execute(&road.pool).await?;
    let asked = road.ask(0..3);
    wait::until("it to pause", PATIENCE, async || worker.log().contains("storing is paused")).await?;
    let status = worker.terminate(Duration::from_secs(5)).await?;
    ensure!(status.code() == Some(0), "{status}: {}", worker.log());
    sqlx::raw_sql("ALTER TABLE elsewhere RENAME TO messages").execute(&road.pool).await?;
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}

/// 128 + SIGTERM, as a shell would say it: see `docs/TROUBLESHOOTING.md`.
const EXIT_ABORTED: i32 = 143;

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let mut worker = road.stage.worker().await?;
    let barrier = road.barrier().await?;
    let asked = road.ask(0..10);
    road.held_up(1).await?;
    worker.process().signal(Signal::Terminate)?;
    wait::until("it to be asked", PATIENCE, async || worker.log().contains("a second signal aborts")).await?;
    let insisted = Instant::now();
    let status = worker.terminate(DEADLINE).await?;
    ensure!(status.code() == Some(EXIT_ABORTED), "{status}: {}", worker.log());
    ensure!(insisted.elapsed() < DEADLINE / 2, "it took {:?}", insisted.elapsed());
    barrier.lift().await?;
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}
