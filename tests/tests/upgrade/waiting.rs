//! A worker whose schema is not there yet, or is there and newer.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::wait;

use crate::earlier::{self, SCHEMA, rows};

/// Whatever is going to happen has happened by then, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A migration that a later version might bring.
const LATER: &str = "ALTER TABLE messages ADD COLUMN of_a_later_version text;
    CREATE TABLE of_a_later_version (id bigint PRIMARY KEY);
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (99991231235959, 'of a later version', true, '\\x00', 0)";

#[tokio::test]
async fn a_worker_leaves_an_older_schema_alone_until_it_is_migrated() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let before = rows(stage.pool()).await?;
    let _ingest = stage.ingest().await?;
    let mut worker = stage.worker_unready()?;
    worker.answers("/livez", PATIENCE).await?;
    let body = r#"{"event_type":"message.received","message_id":"msg-new","payload":{"from":"+56955500000","content":"Hola"}}"#;
    ensure!(stage.post_signed(body).await?.status() == 200);
    let client = reqwest::Client::builder().no_proxy().build()?;
    wait::until("the worker to say what it lacks", PATIENCE, async || -> Result<bool> {
        let answer = client.get(format!("http://{}/readyz", worker.http())).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(
            status == 503 && text.contains("lacks") && text.contains("run `worker migrate`"),
            "{status} {text}"
        );
        Ok(true)
    })
    .await?;
    // It has looked again since, and touched nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(rows(stage.pool()).await? == before, "a worker changed a schema that it does not have");

    stage.migrate().await?;
    worker.ready(PATIENCE).await?;
    wait::until("the waiting webhook to be projected", PATIENCE, async || -> Result<bool> {
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM messages WHERE id = 'msg-new'")
            .fetch_one(stage.pool())
            .await?;
        Ok(found == 1)
    })
    .await
}

/// Two branches of development, or a fix to an older version: what is missing need not be the last.
#[tokio::test]
async fn a_migration_that_is_missing_in_the_middle_is_waited_for() -> Result<()> {
    let stage = earlier::left_behind().await?;
    stage.migrate().await?;
    let second = earlier::migrations()?.get(1).context("a migration")?.0;
    ensure!(second < SCHEMA);
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = $1").bind(second).execute(stage.pool()).await?;
    let mut worker = stage.worker_unready()?;
    worker.answers("/livez", PATIENCE).await?;
    wait::until("the worker to say what it lacks", PATIENCE, async || -> Result<bool> {
        Ok(worker.log().contains(&format!("lacks 1 of the migrations of this worker, up to {second}")))
    })
    .await
}

/// Going back to the version before: its worker works with what the newer one has made of the schema, and
/// `worker migrate`, which containers run before it, has nothing to do.
#[tokio::test]
async fn a_schema_of_a_later_version_is_worked_with_and_left_alone() -> Result<()> {
    let stage = earlier::left_behind().await?;
    stage.migrate().await?;
    sqlx::raw_sql(LATER).execute(stage.pool()).await?;
    let before = rows(stage.pool()).await?;
    let migrated = stage.finish("worker", &["migrate"]).await?;
    ensure!(migrated.code == Some(0), "{}", migrated.log);
    ensure!(migrated.log.contains("of a newer version"), "{}", migrated.log);
    ensure!(rows(stage.pool()).await? == before);
    stage.worker().await?;
    Ok(())
}
