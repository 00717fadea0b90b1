//! Postgres away, without its schema, without a partition, and with open matters.

use anyhow::Result;
use contract::settings::Secret;
use worker::kapso::Client;

use crate::scene::Scene;

#[tokio::test]
async fn a_database_that_is_down_is_named() -> Result<()> {
    let mut scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.stage.set("DATABASE_URL", "postgres://buzon:pass@127.0.0.1:1/buzon");
    let told = scene.doctor(&["--only", "database,broker,road"]).await?;
    told.names("database", "reached", &["127.0.0.1:1", "DATABASE_URL"])?.clears("broker", "consumers")?.has(
        "remark",
        "road",
        "postgres",
        &["was not followed"],
    )?;
    Ok(())
}

#[tokio::test]
async fn a_missing_migration_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 20261125130000")
        .execute(scene.stage.pool())
        .await?;
    let told = scene.doctor(&["--only", "database"]).await?;
    told.names("database", "schema", &["20261125130000 (index archive) is missing", "worker migrate"])?;
    sqlx::query("DROP TABLE _sqlx_migrations").execute(scene.stage.pool()).await?;
    let told = scene.doctor(&["--only", "database"]).await?;
    told.names("database", "schema", &["has no schema yet"])?;
    Ok(())
}

#[tokio::test]
async fn a_missing_partition_is_named_and_migrate_makes_it() -> Result<()> {
    const DROP: &str = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'webhooks_' ||
        to_char(now() AT TIME ZONE 'UTC' + interval 'MONTHS month', 'YYYY_MM')); END $$";
    let scene = Scene::new().await?;
    for (months, mark) in [("1", "remark"), ("0", "wrong")] {
        let drop = sqlx::AssertSqlSafe(DROP.replace("MONTHS", months));
        sqlx::raw_sql(drop).execute(scene.stage.pool()).await?;
        let told = scene.doctor(&["--only", "database"]).await?;
        told.has(mark, "database", "partitions", &["there is no partition `webhooks_2", "worker migrate"])?;
        anyhow::ensure!(told.code == Some(i32::from(mark == "wrong")), "{told:?}");
    }
    scene.stage.migrate().await?;
    scene.doctor(&["--only", "database"]).await?.clears("database", "partitions")?;
    Ok(())
}

#[tokio::test]
async fn what_needs_a_person_is_remarked_on() -> Result<()> {
    let scene = Scene::new().await?;
    let letter = "INSERT INTO dead_letters (webhook_id, reason) VALUES ('\\x00', 'planted')";
    sqlx::query(letter).execute(scene.stage.pool()).await?;
    let token = Secret::new(scene.stage.setting("KAPSO_API_TOKEN"));
    let client = Client::new(scene.stage.setting("KAPSO_API_BASE_URL").parse()?, &token);
    let client = client.map_err(|error| anyhow::anyhow!("{error}"))?;
    // Nobody needs to know of a key that is used no more.
    for (id, hold) in [(client.key_id(), "token_refused"), ("another", "failing")] {
        let held = "INSERT INTO api_keys (id, hold, held_since, next_probe_at) VALUES ($1, $2, now(), now())";
        sqlx::query(held).bind(id).bind(hold).execute(scene.stage.pool()).await?;
    }
    let told = scene.doctor(&["--only", "database"]).await?;
    anyhow::ensure!(told.code == Some(0), "{told:?}");
    told.has("remark", "database", "dead letters", &["1 webhook", "worker dead-letters list"])?
        .has("remark", "database", "held", &["Kapso has refused the token"])?
        .has("remark", "database", "arrivals", &["no webhook has ever come", "No se reciben webhooks"])?;
    anyhow::ensure!(!format!("{told:?}").contains("have failed"), "{told:?}");
    let unpaid = "UPDATE api_keys SET unpaid_since = held_since WHERE id = $1";
    sqlx::query(unpaid).bind(client.key_id()).execute(scene.stage.pool()).await?;
    let told = scene.doctor(&["--only", "database"]).await?;
    told.names("database", "held", &["credits at Kapso are exhausted", "add credits in Kapso"])?;
    anyhow::ensure!(!format!("{told:?}").contains("refused the token"), "{told:?}");
    Ok(())
}
