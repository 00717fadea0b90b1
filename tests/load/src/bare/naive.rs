//! One transaction of three statements for each event: how it would be done without a second thought.

use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, query};
use time::OffsetDateTime;

use super::envelope;
use crate::part::Done;
use crate::traffic::{Stream, Traffic};

/// What is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Naive {
    /// The database, with the schema.
    pub database: String,
    /// The webhooks.
    pub stream: Stream,
    /// For how long.
    pub seconds: f64,
}

impl Naive {
    /// Connects, waits for `cue`, and stores.
    ///
    /// # Errors
    ///
    /// When Postgres goes away or refuses.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Done> {
        let mut connection = PgConnection::connect(&self.database).await?;
        let traffic = Traffic::of(self.stream)?;
        let now = OffsetDateTime::now_utc();
        query("SELECT ensure_webhooks_partition($1)").bind(now).execute(&mut connection).await?;
        cue().await?;
        let (start, mut number) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < self.seconds {
            let webhook = envelope(&traffic, number);
            let message = traffic.message(number);
            let mut tx = connection.begin().await?;
            query(
                "INSERT INTO webhooks (id, received_at, kind, headers, verified_by, body, projected_at)
                 VALUES ($1, $2, $3, '{}', $4, $5, now()) ON CONFLICT DO NOTHING",
            )
            .bind(webhook.id.as_bytes())
            .bind(webhook.received_at)
            .bind(webhook.kind.as_str())
            .bind(&webhook.verified_by)
            .bind(webhook.body.as_ref())
            .execute(&mut *tx)
            .await?;
            query(
                "INSERT INTO messages AS old (id, type, body, sent_at) VALUES ($1, 'text', 'hola', $2)
                 ON CONFLICT (id) DO UPDATE SET sent_at = LEAST(old.sent_at, EXCLUDED.sent_at)",
            )
            .bind(&message)
            .bind(webhook.received_at)
            .execute(&mut *tx)
            .await?;
            query(
                "INSERT INTO message_statuses (message_id, status, occurred_at) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING",
            )
            .bind(&message)
            .bind(webhook.kind.as_str())
            .bind(webhook.received_at)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            number += 1;
        }
        Ok(Done { count: number, seconds: start.elapsed().as_secs_f64() })
    }
}
