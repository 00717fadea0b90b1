//! The database, for a tool: there now, or not at all.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::schema;

/// How long a person waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a tool's connections are called where the database lists them.
const APPLICATION: &str = "buzon-tool";

/// Connects to it, and sees that it has the schema.
///
/// # Errors
/// When it is away, or has an older schema.
pub async fn connect(database: &PgConnectOptions) -> anyhow::Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(3)
        .acquire_timeout(PATIENCE)
        .connect_with(database.clone().application_name(APPLICATION))
        .await
        .context("DATABASE_URL can't be reached")?;
    schema::look(&pool).await?;
    Ok(pool)
}
