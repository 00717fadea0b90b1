//! The archive's partitions are made beside everything else that is done with it.

use std::iter;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{Executor as _, PgConnection};
use time::OffsetDateTime;
use tokio::time::timeout;
use worker::archive::Partitions;

use crate::scene::{PATIENCE, Road};

async fn partitions(connection: &mut PgConnection) -> Result<i64> {
    let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'webhooks'::regclass";
    Ok(sqlx::query_scalar(count).fetch_one(connection).await?)
}

/// A dump of the database, on the first of a month.
#[tokio::test]
async fn whoever_reads_the_archive_keeps_no_partition_from_being_made() -> Result<()> {
    let road = Road::new().await?;
    let mut dump = road.pool.begin().await?;
    let before = partitions(&mut dump).await?;
    dump.execute("LOCK TABLE webhooks IN ACCESS SHARE MODE").await?;
    let another = OffsetDateTime::now_utc() + Duration::from_secs(400 * 86_400);
    timeout(PATIENCE, Partitions::default().ensure(&road.pool, iter::once(another))).await??;
    assert_eq!(partitions(&mut dump).await?, before + 2);
    Ok(())
}

/// What is in the way of next month's partition keeps nothing of this month's from being stored.
#[tokio::test]
async fn next_months_partition_is_not_waited_for() -> Result<()> {
    let road = Road::new().await?;
    let now = OffsetDateTime::now_utc();
    road.pool
        .execute(
            "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'webhooks_' ||
                to_char((now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM')); END $$",
        )
        .await?;
    let mut busy = road.pool.begin().await?;
    busy.execute("LOCK TABLE webhooks IN SHARE UPDATE EXCLUSIVE MODE").await?;
    let before = partitions(&mut busy).await?;
    timeout(PATIENCE, Partitions::default().ensure(&road.pool, iter::once(now))).await??;
    ensure!(partitions(&mut busy).await? == before, "it was made: nothing was in its way");
    Ok(())
}

/// A month that somebody drops while workers run is made again when it is needed.
#[tokio::test]
async fn a_month_that_was_dropped_is_made_again() -> Result<()> {
    let road = Road::new().await?;
    let _product = road.open().await?;
    road.asks(1);
    road.nothing_lost().await?;
    road.pool
        .execute(
            "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'webhooks_' ||
                to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')); END $$",
        )
        .await?;
    let asked = road.asks(2);
    road.reply_becomes(&asked, "done").await?;
    let stored = road.count("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL").await?;
    ensure!(stored == 1, "of the second webhook's month {stored} are stored");
    Ok(())
}
