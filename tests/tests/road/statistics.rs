//! Tables that grow fast are counted before the autovacuum looks.

use anyhow::Result;
use harness::wait;
use sqlx::Executor as _;

use crate::scene::{PATIENCE, Road};

#[tokio::test]
async fn a_table_that_has_doubled_is_counted() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    // Nobody else counts it.
    road.pool.execute("ALTER TABLE contact_aliases SET (autovacuum_enabled = off)").await?;
    for (from, to) in [(1, 1_500), (1_501, 4_000)] {
        sqlx::query("INSERT INTO contact_aliases SELECT 'x' || n, 'x' || n FROM generate_series($1, $2) n")
            .bind(from)
            .bind(to)
            .execute(&road.pool)
            .await?;
        let counted = format!("{to} rows to be counted");
        wait::until(&counted, PATIENCE, async || {
            let counted = "SELECT reltuples::bigint FROM pg_class WHERE relname = 'contact_aliases'";
            Ok::<_, anyhow::Error>(road.count(counted).await? == to)
        })
        .await?;
    }
    Ok(())
}
