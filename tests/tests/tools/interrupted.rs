//! A replay that is interrupted says how to go on, and can be gone on with.

use anyhow::{Context as _, Result, ensure};
use harness::process::Signal;
use harness::wait;

use crate::scene::{PATIENCE, Scene, guides};
use crate::state::{Effects, State};

#[tokio::test]
async fn an_interrupted_replay_finishes_its_page_and_can_be_gone_on_with() -> Result<()> {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let scene = Scene::new().await?;
        scene.stores(&guides(1000)).await?;
        let whole = State::of(&scene.pool, Effects::Whole).await?;
        scene.run("DELETE FROM messages").await?;

        let mut barrier = scene.pool.begin().await?;
        sqlx::query("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").execute(&mut *barrier).await?;
        let mut replay = scene.start("replay", &["replay", "--all"])?;
        waits_for(&scene, "relation = 'messages'::regclass").await?;
        replay.signal(signal)?;
        wait::until("it to hear", PATIENCE, async || replay.log().contains("a second signal aborts")).await?;
        barrier.rollback().await?;
        let status = replay.end(PATIENCE).await?;
        let log = replay.log();
        ensure!(status.code() == Some(130), "{status}: {log}");
        ensure!(scene.count("SELECT count(*) FROM messages").await? == 250, "{log}");
        ensure!(log.contains("250 webhooks projected again."), "{log}");

        let go_on =
            log.lines().find_map(|line| line.trim().strip_prefix("worker ")).context("how to go on")?;
        ensure!(go_on.starts_with("replay --since "), "{go_on}");
        scene.tool(&go_on.split_whitespace().collect::<Vec<_>>()).await?.fine()?;
        let found = State::of(&scene.pool, Effects::Whole).await?;
        ensure!(whole.same(&found), "{}", whole.difference(&found));
    }
    Ok(())
}

/// Waits until something of another connection's waits for such a lock.
pub(crate) async fn waits_for(scene: &Scene, lock: &str) -> Result<()> {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE NOT granted AND {lock} AND datname = current_database() AND application_name LIKE 'buzon-%'"
    );
    wait::until("somebody to wait for a lock", PATIENCE, async || -> Result<bool> {
        let waiting: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(waiting.as_str())).fetch_one(&scene.pool).await?;
        Ok(waiting > 0)
    })
    .await
}
