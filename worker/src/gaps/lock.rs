//! One check at a time, whoever makes it: a lock in Postgres, on a connection of its own. It
//! is gone with the connection, however the process ends.

use std::{io, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

/// One number for one purpose, as `project::lock` has another.
const GAPS: i64 = 0x6275_7a6f_6e02;

/// A server that does not answer must not hold up whoever wants to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lock, held.
pub struct Lock(PgConnection);

impl Lock {
    /// Takes the lock; none while somebody else holds it.
    ///
    /// # Errors
    /// When Postgres refuses or is away.
    pub async fn take(database: &PgConnectOptions) -> sqlx::Result<Option<Self>> {
        timeout(PATIENCE, Self::try_take(database))
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
    }

    async fn try_take(database: &PgConnectOptions) -> sqlx::Result<Option<Self>> {
        let mut connection = PgConnection::connect_with(database).await?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(GAPS)
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Some(Self(connection)));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Lets it go.
    pub async fn release(self) {
        if let Err(error) = self.0.close().await {
            tracing::debug!(error = %error, "the lock's connection was gone already");
        }
    }
}
