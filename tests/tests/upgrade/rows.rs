//! A database that an earlier version left behind: its rows, by today's code.

use anyhow::{Context as _, Result, ensure};
use harness::stage::Stage;
use sqlx::PgPool;

use crate::earlier::{self, nothing_is_lost, rows};

async fn count(pool: &PgPool, sql: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

async fn tool(stage: &Stage, args: &[&str]) -> Result<String> {
    let done = stage.finish("worker", args).await?;
    ensure!(done.code == Some(0), "worker {args:?} ({:?}):\n{}", done.code, done.log);
    Ok(done.log)
}

/// The recording is worth something: there are rows in every table, and effects in every state.
#[tokio::test]
async fn it_left_something_behind_in_every_table() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let left = rows(stage.pool()).await?;
    ensure!(left.len() == 15, "{:?}", left.keys());
    for (table, rows) in &left {
        ensure!(!rows.is_empty(), "{table} is empty");
    }
    let mut states: Vec<&str> = left["effects"].iter().filter_map(|it| it["state"].as_str()).collect();
    states.sort_unstable();
    states.dedup();
    ensure!(states == ["discarded", "done", "pending", "unknown"], "{states:?}");
    let leased = "SELECT count(*) FROM effects WHERE lease IS NOT NULL";
    let pending = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL";
    ensure!(count(stage.pool(), leased).await? > 0 && count(stage.pool(), pending).await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_migration_to_todays_schema_loses_and_changes_nothing() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let mut before = rows(stage.pool()).await?;
    stage.migrate().await?;
    let mut after = rows(stage.pool()).await?;
    let applied = |rows: &earlier::Rows| rows["_sqlx_migrations"].len();
    ensure!(applied(&before) == 3 && applied(&after) == earlier::migrations()?.len());
    // More is to be in this one; what it holds is compared by the migration itself.
    before.remove("_sqlx_migrations");
    after.remove("_sqlx_migrations");
    nothing_is_lost(&before, &after)
}

/// What the earlier version projected is what today's projects from the same bytes, but for what it did not know of
/// (columns that are new); and what only Kapso's answers have told it, such as the two names of a reply, is kept.
#[tokio::test]
async fn replay_and_rebuild_find_the_projections_as_they_were_left() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let mut before = rows(stage.pool()).await?;
    stage.migrate().await?;
    // When they were projected last, and what is there of migrations.
    for table in ["webhooks", "_sqlx_migrations"] {
        before.remove(table);
    }
    for args in [&["replay", "--all"][..], &["replay", "--rebuild", "--yes"]] {
        let said = tool(&stage, args).await?;
        nothing_is_lost(&before, &rows(stage.pool()).await?).with_context(|| format!("{args:?}:\n{said}"))?;
    }
    Ok(())
}
