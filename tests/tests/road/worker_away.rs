//! The worker is killed, or away, or there are two of them: every event answered 200 ends in Postgres, and every
//! message is answered once.

use anyhow::Result;
use harness::wait;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::scene::{PATIENCE, Road};

#[tokio::test]
async fn what_came_while_it_was_away_is_answered_once() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, mut worker] = road.open().await?;
    let mut asked = road.ask(0..5);
    road.each_answered_once(&asked).await?;
    worker.kill();
    asked.extend(road.ask(5..30));
    road.all_answered().await?;
    assert_eq!(road.count("SELECT count(*) FROM webhooks").await?, 5);
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}

/// Killed while its transaction stands between the archive and the commit, so that an acknowledgement that comes
/// too early loses the window.
#[tokio::test]
async fn a_kill_before_the_commit_loses_nothing() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let asked = road.ask(0..20);
    road.all_answered().await?;
    for _ in 0..2 {
        let barrier = road.barrier().await?;
        let mut worker = road.stage.worker_unready()?;
        road.held_up(1).await?;
        road.kill(&mut worker, 20).await?;
        barrier.lift().await?;
        assert_eq!(road.count("SELECT count(*) FROM webhooks").await?, 0);
    }
    let _worker = road.stage.worker().await?;
    road.each_answered_once(&asked).await
}

/// Where a kill strikes a request, nobody knows whether it arrived: that reply is `unknown`, and not sent again.
#[tokio::test]
async fn kills_in_the_middle_of_a_stream_lose_nothing_and_double_nothing() -> Result<()> {
    let mut chance = StdRng::seed_from_u64(20_251_026);
    let mut road = Road::new().await?;
    // Small windows: there is more to strike between.
    road.stage.set("BUZON_WINDOW", "7");
    let _ingest = road.stage.ingest().await?;
    let mut asked = Vec::new();
    for _ in 0..6 {
        let mut worker = road.stage.worker_unready()?;
        let next = asked.len();
        asked.extend(road.ask(next..next + 40));
        let stored = i64::try_from(next)? + chance.random_range(1..40);
        wait::until("so many to be stored", PATIENCE, async || {
            Ok(road.count("SELECT count(*) FROM webhooks").await? >= stored)
        })
        .await?;
        worker.kill();
    }
    let _worker = road.stage.worker().await?;
    road.each_answered_once_or_unknown(&asked).await
}

#[tokio::test]
async fn two_workers_share_the_work() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let asked = road.ask(0..80);
    road.each_answered_once(&asked).await
}
