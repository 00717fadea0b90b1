//! An attempt of the slow lane counts against a webhook only if the webhook ends it.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::servers::Postgres;
use harness::wait;

use crate::scene::{PATIENCE, Road, holds};

/// More than the slow lane tries before it makes a dead letter.
const CRASHES: usize = 5;

/// More than twice the time for which a claim alone keeps others away.
const TWO_LEASES: Duration = Duration::from_secs(12);

/// Projections take an hour while a table `slowly` has a row; no connection needs to live for that.
const SLOWLY: &str = "CREATE TABLE slowly (yes boolean);
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF EXISTS (SELECT FROM slowly) THEN PERFORM pg_sleep(3600); END IF; RETURN NULL; END $$;
    CREATE TRIGGER slowly BEFORE INSERT ON messages FOR EACH STATEMENT EXECUTE FUNCTION slowly();
    INSERT INTO slowly VALUES (true);";

impl Road {
    /// Makes the slow lane work on what has been projected.
    async fn again(&self) -> Result<()> {
        let again = "UPDATE webhooks SET projected_at = NULL, next_attempt_at = '-infinity'";
        Ok(sqlx::query(again).execute(&self.pool).await.map(drop)?)
    }

    /// The attempts of the only webhook, and whether it is projected.
    async fn the_only_one(&self) -> Result<(i32, bool)> {
        let select = "SELECT attempts, projected_at IS NOT NULL FROM webhooks";
        Ok(sqlx::query_as(select).fetch_one(&self.pool).await?)
    }
}

#[tokio::test]
async fn postgres_crashes_in_the_middle_of_every_attempt() -> Result<()> {
    let mut postgres = Postgres::of_this_test().await?;
    let road = Road::on(&postgres).await?;
    let [_ingest, _worker] = road.open().await?;
    let asked = [road.asks(0)];
    road.each_answered_once(&asked).await?;
    sqlx::raw_sql(SLOWLY).execute(&road.pool).await?;
    road.again().await?;
    for crash in 1..=CRASHES {
        wait::until(&format!("attempt {crash} to be under way"), PATIENCE, async || -> Result<bool> {
            let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            ensure!(road.count("SELECT count(*) FROM dead_letters").await? == 0, "it is a dead letter");
            Ok(road.count(sleeping).await? == 1)
        })
        .await?;
        assert_eq!(road.the_only_one().await?, (1, false));
        if crash == CRASHES {
            sqlx::query("DELETE FROM slowly").execute(&road.pool).await?;
        }
        postgres.kill();
        postgres.restart().await?;
    }
    wait::until("it to be projected", PATIENCE, async || -> Result<bool> {
        Ok(road.the_only_one().await?.1)
    })
    .await?;
    assert_eq!(road.the_only_one().await?, (1, true));
    road.each_answered_once(&asked).await
}

/// A claim keeps others away for seconds, an attempt for as long as it takes.
#[tokio::test]
async fn nobody_takes_what_a_slow_worker_is_still_at() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let asked = [road.asks(0)];
    road.each_answered_once(&asked).await?;
    let barrier = road.barrier().await?;
    road.again().await?;
    road.held_up(1).await?;
    holds("one attempt", TWO_LEASES, async || Ok(road.the_only_one().await? == (1, false))).await?;
    barrier.lift().await?;
    wait::until("it to be projected", PATIENCE, async || -> Result<bool> {
        Ok(road.the_only_one().await?.1)
    })
    .await?;
    assert_eq!(road.the_only_one().await?, (1, true));
    road.each_answered_once(&asked).await
}

/// Asked to stop, a worker gives back the attempt that an outage ended.
#[tokio::test]
async fn a_worker_that_stops_through_an_outage_leaves_no_attempt() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, mut worker] = road.open().await?;
    let asked = [road.asks(0)];
    road.each_answered_once(&asked).await?;
    sqlx::query("ALTER TABLE messages RENAME TO elsewhere").execute(&road.pool).await?;
    for _ in 0..4 {
        road.again().await?;
        wait::until("it to pause", PATIENCE, async || worker.log().contains("storing is paused")).await?;
        ensure!(worker.terminate(Duration::from_secs(20)).await?.success(), "{}", worker.log());
        assert_eq!(road.the_only_one().await?, (0, false));
        worker = road.stage.worker_unready()?;
    }
    sqlx::query("ALTER TABLE elsewhere RENAME TO messages").execute(&road.pool).await?;
    wait::until("it to be projected", PATIENCE, async || -> Result<bool> {
        Ok(road.the_only_one().await?.1)
    })
    .await?;
    assert_eq!(road.the_only_one().await?, (1, true));
    road.each_answered_once(&asked).await
}
