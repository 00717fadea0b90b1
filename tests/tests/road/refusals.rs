//! Postgres answers, and takes nothing: read-only, its disk full, a table missing. An outage like any other, though
//! `SELECT 1` works all the while.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::servers::{Postgres, SmallDisk};
use sqlx::postgres::PgPoolOptions;

use crate::outages::{away, ready};
use crate::scene::{Road, holds};

/// Long enough for a dozen tries, and for the lease of an attempt to run out.
const LASTING: Duration = Duration::from_secs(12);

impl Road {
    /// What happens through such an outage, in both lanes: nothing is lost, doubled, or held against a webhook.
    async fn waits_out(
        &self,
        begin: impl AsyncFnOnce() -> Result<()>,
        end: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        let [_ingest, worker] = self.open().await?;
        let mut asked = self.ask(0..10);
        self.each_answered_once(&asked).await?;
        // For the slow lane, in the middle of it.
        let pending =
            "UPDATE webhooks SET projected_at = NULL, next_attempt_at = now() + interval '2 seconds'";
        sqlx::query(pending).execute(&self.pool).await?;
        begin().await?;
        asked.extend(self.ask(10..200));
        self.all_answered().await?;
        away(&worker, 1.0).await?;
        holds("it is not ready", LASTING, async || Ok(ready(&worker).await? == 503)).await?;
        self.is_an_outage(&worker).await?;
        end().await?;
        away(&worker, 0.0).await?;
        assert_eq!(ready(&worker).await?, 200);
        self.each_answered_once(&asked).await?;
        let attempts = "SELECT count(*) FROM webhooks WHERE attempts > 1";
        assert_eq!(self.count(attempts).await?, 0);
        assert_eq!(self.count("SELECT count(*) FROM webhooks WHERE attempts = 1").await?, 10);
        self.is_an_outage(&worker).await?;
        ensure!(worker.log().contains("the database stores again"), "{}", worker.log());
        Ok(())
    }

    /// Told once, whoever meets it; and nobody's dead letter.
    async fn is_an_outage(&self, worker: &Product) -> Result<()> {
        let (log, told) = (worker.log(), |what| worker.log().matches(what).count());
        ensure!(told("storing is paused") == 1, "{log}");
        ensure!(told("given back") + told("not consuming") + told("goes to the slow lane") == 0, "{log}");
        assert_eq!(self.count("SELECT count(*) FROM dead_letters").await?, 0);
        Ok(())
    }
}

#[tokio::test]
async fn a_read_only_database_is_waited_out() -> Result<()> {
    let postgres = Postgres::of_this_test().await?;
    let road = Road::on(&postgres).await?;
    let read_only = async |on| {
        let mut connection = road.pool.acquire().await?;
        let set = if on { "on" } else { "off" };
        let alter = format!("ALTER SYSTEM SET default_transaction_read_only = {set}");
        // Outside a transaction; and this session may write whatever the system says.
        sqlx::query("SET default_transaction_read_only = off").execute(&mut *connection).await?;
        sqlx::query(sqlx::AssertSqlSafe(alter)).execute(&mut *connection).await?;
        sqlx::query("SELECT pg_reload_conf()").execute(&mut *connection).await?;
        Ok(())
    };
    road.waits_out(async || read_only(true).await, async || read_only(false).await).await
}

#[tokio::test]
async fn a_full_disk_is_waited_out() -> Result<()> {
    let postgres = Postgres::of_this_test().await?;
    let mut road = Road::on(&postgres).await?;
    let disk = SmallDisk::mount(&road.stage.dir().join("disk"), 100)?;
    let admin = &road.pool;
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.dir().display());
    sqlx::query(sqlx::AssertSqlSafe(tablespace)).execute(admin).await?;
    sqlx::query("CREATE DATABASE cramped TABLESPACE small").execute(admin).await?;
    let url = postgres.url("cramped");
    road.pool = PgPoolOptions::new().max_connections(4).connect_lazy(&url)?;
    road.stage.set("DATABASE_URL", url);
    road.stage.migrate().await?;
    road.waits_out(async || disk.fill(), async || disk.free()).await?;
    // The server ends before its disk goes.
    drop(postgres);
    Ok(())
}

#[tokio::test]
async fn a_missing_table_is_waited_out() -> Result<()> {
    let road = Road::new().await?;
    let rename = async |sql: &'static str| Ok(sqlx::query(sql).execute(&road.pool).await.map(drop)?);
    road.waits_out(
        async || rename("ALTER TABLE messages RENAME TO elsewhere").await,
        async || rename("ALTER TABLE elsewhere RENAME TO messages").await,
    )
    .await
}
