//! `worker migrate`: brings the database to this worker's schema, and makes room for this month's
//! and the next one's webhooks.

use anyhow::Context;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use crate::{archive, schema};

/// Applies the migrations that are missing. Two at once do no harm: the second waits.
///
/// # Errors
/// When the database is away, or a migration fails.
pub async fn run(database: &PgConnectOptions) -> anyhow::Result<()> {
    let mut connection =
        PgConnection::connect_with(database).await.context("DATABASE_URL can't be reached")?;
    let version = schema::migrate(&mut connection).await.context("a migration failed")?;
    let partitions = archive::ensure_from(&mut connection, OffsetDateTime::now_utc()).await;
    partitions.context("the partitions can't be made")?;
    if version > schema::newest() {
        tracing::info!(version, "the schema is of a newer version: this one works with it");
    } else {
        tracing::info!(version, "the schema is up to date");
    }
    connection.close().await.context("the connection did not close")
}
