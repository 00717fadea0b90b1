//! The schema that this worker was built for, and waiting until the database has it.

use std::time::Duration;

use sqlx::{
    PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
};
use tokio::time::sleep;

use crate::outage::{Met, in_time};

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
    #[error(
        "the database lacks {missing} of the migrations of this worker, up to {needed}: run `worker migrate`"
    )]
    Older {
        /// How many are missing.
        missing: usize,
        /// The last of them.
        needed: i64,
    },
}

/// Waits until the database answers and has the schema. A newer schema will do:
/// migrations take nothing away that is used (see `migrations/README.md`).
pub async fn ready(pool: &PgPool, met: &mut Met) {
    while let Err(why) = in_time(look(pool)).await {
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
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    let applied: Vec<i64> = if exists {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?
    } else {
        Vec::new()
    };
    // Each of them: a version may bring one that is older than the last of the version before.
    let missing = MIGRATIONS.iter().map(|migration| migration.version).filter(|it| !applied.contains(it));
    let missing: Vec<i64> = missing.collect();
    match missing.last() {
        Some(&needed) => Err(NotReady::Older { missing: missing.len(), needed }),
        None => Ok(()),
    }
}

/// Applies the migrations that are missing, and gives the version of the newest that is there. That may
/// be one that this worker does not know: a newer version has migrated, and this one works beside it.
///
/// # Errors
/// When the database fails, or an applied migration is not the one of this name here.
pub async fn migrate(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    let mut migrations = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrations.set_ignore_missing(true).run(&mut *connection).await?;
    Ok(sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await?)
}

/// The last migration that this worker knows.
#[must_use]
pub fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}
