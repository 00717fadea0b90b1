//! The schema that this worker was built for, and waiting until the database has it.

use std::time::Duration;

use sqlx::{PgPool, migrate::Migrator};
use tokio::time::sleep;

use crate::outage::Met;

/// The migrations, embedded.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How often the schema is looked at while it is not there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is nothing to work with yet.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It can't be reached.
    #[error("the database: {0}")]
    Away(#[from] sqlx::Error),
    /// Migrations are missing.
    #[error("the database has schema {found}, and this worker needs {needed}: run `worker migrate`")]
    Older {
        /// The last migration that it has.
        found: i64,
        /// The last one that this worker knows.
        needed: i64,
    },
}

/// Waits until the database answers and has the schema. A newer schema will do:
/// migrations only add (see `migrations/README.md`).
pub async fn ready(pool: &PgPool, met: &mut Met) {
    while let Err(why) = look(pool).await {
        let brief = why.to_string();
        let _ = met.failed_because(&why, brief);
        sleep(LOOK_EVERY).await;
    }
    met.works();
}

/// Looks once whether the database answers and has the schema.
///
/// # Errors
/// What is not so.
pub async fn look(pool: &PgPool) -> Result<(), NotReady> {
    let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    let found: i64 = if exists {
        sqlx::query_scalar("SELECT COALESCE(max(version), 0) FROM _sqlx_migrations WHERE success")
            .fetch_one(pool)
            .await?
    } else {
        0
    };
    if found < needed { Err(NotReady::Older { found, needed }) } else { Ok(()) }
}
