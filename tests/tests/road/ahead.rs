//! A full window is archived while the one before it is being projected.

use anyhow::{Result, ensure};
use harness::wait;

use crate::scene::{PATIENCE, Road};

/// The same webhooks are in two windows, and the first of these fails at first: the second one gives way.
#[tokio::test]
async fn what_is_archived_ahead_never_keeps_the_window_before_it() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_WINDOW", "4");
    // A sequence does not go back with a transaction: this refuses once.
    sqlx::raw_sql(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('tries') = 1 THEN
                    PERFORM pg_sleep(1);
                    RAISE 'not yet' USING ERRCODE = 'serialization_failure';
                END IF;
                RETURN NULL;
            END $$;
         CREATE TRIGGER refuse_once AFTER INSERT ON messages EXECUTE FUNCTION refuse_once()",
    )
    .execute(&road.pool)
    .await?;
    let _ingest = road.stage.ingest().await?;
    let asked = road.ask(0..4);
    road.all_answered().await?;
    for delivery in road.sim.deliveries() {
        ensure!(road.sim.repeat(delivery.number).is_some());
    }
    road.all_answered().await?;
    let _worker = road.stage.worker().await?;

    wait::until("the second to be archived ahead", PATIENCE, async || -> Result<bool> {
        Ok(!road.blockers().await?.is_empty())
    })
    .await?;
    let mut longest = 0;
    wait::until("both to be stored", PATIENCE, async || -> Result<bool> {
        longest = road.blockers().await?.into_iter().fold(longest, i64::max);
        Ok(road.count("SELECT count(*) FROM webhooks").await? == 4 && road.queue().await? == (0, 1))
    })
    .await?;
    ensure!(road.count("SELECT last_value FROM tries").await? > 1, "nothing was refused");
    ensure!(longest < 3, "the first window waited for the second, which did nothing for {longest} s");
    road.each_answered_once(&asked).await
}

impl Road {
    /// For how many seconds each transaction that keeps another from archiving has been doing nothing.
    async fn blockers(&self) -> Result<Vec<i64>> {
        let idle = "SELECT CASE blocker.state WHEN 'idle in transaction'
                        THEN EXTRACT(epoch FROM clock_timestamp() - blocker.state_change)::bigint ELSE 0 END
                    FROM pg_stat_activity waiting
                    CROSS JOIN UNNEST(pg_blocking_pids(waiting.pid)) AS blocking (pid)
                    JOIN pg_stat_activity blocker ON blocker.pid = blocking.pid
                    WHERE waiting.datname = current_database() AND waiting.query LIKE 'INSERT INTO webhooks%'";
        Ok(sqlx::query_scalar(idle).fetch_all(&self.pool).await?)
    }
}
