//! The harness's own servers do what their methods say.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::process::leftovers;
use harness::servers::{Postgres, RabbitMq};
use harness::{scratch, wait};
use sqlx::{Connection as _, PgConnection};

async fn ask(url: &str, sql: &'static str) -> Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(answer)
}

#[tokio::test]
async fn postgres_keeps_its_data_and_its_port_through_kill_and_stop() -> Result<()> {
    let home = scratch::dir()?;
    let mut postgres = Postgres::start(&home.join("postgres"), &home).await?;
    postgres.create_database("kept").await?;
    postgres.create_database("kept").await.context("making it again changes nothing")?;
    let url = postgres.url("kept");
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql("CREATE TABLE numbers AS SELECT 7::bigint AS n").execute(&mut connection).await?;

    postgres.kill();
    ensure!(ask(&url, "SELECT 1::bigint").await.is_err(), "it answers after kill -9");
    postgres.restart().await?;
    ensure!(ask(&url, "SELECT n FROM numbers").await? == 7);

    postgres.stop().await?;
    ensure!(ask(&url, "SELECT 1::bigint").await.is_err(), "it answers after a stop");
    drop(postgres);
    let again = Postgres::start(&home.join("postgres"), &home).await?;
    ensure!(ask(&again.url("kept"), "SELECT n FROM numbers").await? == 7);
    ensure!(again.url("kept") == url, "the port is free, and yet another one was taken");
    Ok(())
}

#[tokio::test]
async fn two_of_each_run_side_by_side_and_leave_nothing_behind() -> Result<()> {
    let (one, two) = (scratch::dir()?, scratch::dir()?);
    let both = async |home: PathBuf| {
        let (postgres, rabbitmq) = (home.join("postgres"), home.join("rabbitmq"));
        tokio::try_join!(Postgres::start(&postgres, &home), RabbitMq::start(&rabbitmq, &home))
    };
    let servers = tokio::try_join!(both(one.clone()), both(two.clone()))?;
    let (first, second) = (&servers.0.1, &servers.1.1);
    first.create_vhost("only-here").await?;
    ensure!(first.ctl(&["list_vhosts", "--silent"]).await?.contains("only-here"));
    ensure!(!second.ctl(&["list_vhosts", "--silent"]).await?.contains("only-here"));
    drop(servers);
    for dir in [one, two] {
        // Their helpers notice the end of the server by themselves.
        wait::until("every process to be gone", Duration::from_secs(10), async || {
            let left = leftovers::in_dir(&dir);
            left.is_empty().then_some(()).with_context(|| format!("left: {left:?}")).map(Some)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() -> Result<()> {
    let home = scratch::dir()?;
    let mut postgres = Postgres::start(&home.join("postgres"), &home).await?;
    postgres.stop().await?;
    std::fs::write(home.join("postgres/data/postgresql.conf"), "no_such_setting = 1\n")?;
    let error = format!("{:#}", postgres.restart().await.err().context("it started")?);
    ensure!(error.contains("no_such_setting"), "{error}");
    Ok(())
}
