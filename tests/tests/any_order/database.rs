//! Databases for permutations: each worker of the test has one, and empties it between two of them.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{scratch, stage::DATABASE_URL};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use crate::state::TABLES;

static MADE: AtomicU32 = AtomicU32::new(0);

/// A database with the schema and nothing in it.
pub(crate) async fn make() -> Result<PgPool> {
    let url = std::env::var(DATABASE_URL).ok().context(scratch::HOW_TO_RUN)?;
    let name = format!("any_order_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let mut server = PgConnection::connect(&url).await?;
    server.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    server.close().await?;
    let options = PgConnectOptions::from_str(&url)?.database(&name);
    // What is lost in a crash is not asked here, and waiting for the disk is most of the time.
    let options = options.options([("synchronous_commit", "off")]);
    let pool = PgPoolOptions::new()
        .max_connections(6)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    worker::schema::MIGRATIONS.run(&pool).await?;
    Ok(pool)
}

/// Empties every table. Rows are deleted, as that is faster than TRUNCATE for so few; now and then the
/// space is taken back.
pub(crate) async fn empty(pool: &PgPool, thoroughly: bool) -> Result<()> {
    let statements: Vec<String> = if thoroughly {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        vec![format!("TRUNCATE webhooks, {}", names.join(", "))]
    } else {
        let names = TABLES.iter().map(|table| table.name).chain(["webhooks"]);
        names.map(|name| format!("DELETE FROM {name}")).collect()
    };
    pool.execute(AssertSqlSafe(statements.join("; "))).await?;
    Ok(())
}
