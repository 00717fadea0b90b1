//! What becomes slower when there is more of it: messages that are stored, webhooks that wait, workers at once.

use std::time::Instant;

use anyhow::Result;
use sqlx::Executor as _;

use super::{Bench, tell};
use crate::place::Place;
use crate::send::Sent;
use crate::traffic::{Stream, Traffic};
use crate::verify::verify;

const GROWTH: &str = "growth";

/// How many messages are stored already, each with a webhook and a status.
const STORED: u64 = 10_000_000;

/// How many webhooks wait: enough for a rate, few, and many.
const BACKLOG: u64 = 200_000;
const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;

impl Bench {
    pub(super) async fn growth(&mut self) -> Result<()> {
        let began = Instant::now();
        for round in 1..=self.rounds {
            for (case, backlog, workers) in [
                ("nothing stored", BACKLOG, 1),
                ("two workers", BACKLOG, 2),
                ("a backlog of 10,000", FEW, 1),
                ("a backlog of 1,000,000", MANY, 1),
            ] {
                tell(began, &format!("growth, round {round}: {case}"));
                let place = self.servers.place().await?;
                self.drain_once(&place, case, backlog, workers).await?;
                self.servers.clear(place).await?;
            }
        }
        tell(began, &format!("growth: storing {STORED} messages"));
        let place = self.servers.place().await?;
        store(&place).await?;
        for round in 1..=self.rounds {
            tell(began, &format!("growth, round {round}: {STORED} messages stored"));
            self.drain_once(&place, "10,000,000 stored", BACKLOG, 1).await?;
        }
        self.servers.clear(place).await?;
        for (name, case, base) in [
            ("10,000,000 stored / none", "10,000,000 stored", "nothing stored"),
            ("two workers / one", "two workers", "nothing stored"),
            ("backlog 1,000,000 / 10,000", "a backlog of 1,000,000", "a backlog of 10,000"),
        ] {
            let ratio = self.figures.median(GROWTH, case) / self.figures.median(GROWTH, base);
            self.figures.add(GROWTH, name, "ratio", ratio);
        }
        Ok(())
    }

    async fn drain_once(&mut self, place: &Place, case: &str, backlog: u64, workers: usize) -> Result<()> {
        let before: i64 = sqlx::query_scalar("SELECT count(*) FROM webhooks").fetch_one(&place.pool).await?;
        let stream = self.fill(place, backlog).await?;
        let wal = wal_bytes(place).await?;
        let more = (1..workers).map(|_| place.worker()).collect::<Result<Vec<_>>>()?;
        self.drained(place, u64::try_from(before)? + backlog).await?;
        drop(more);
        let wal = wal_bytes(place).await? - wal;
        let rate = stored_a_second(place, backlog).await?;
        self.figures.add(GROWTH, case, "/s", rate);
        self.figures.add(GROWTH, &format!("{case}: WAL"), "KB/event", wal / 1000.0 / backlog as f64);
        let sent = Sent { count: backlog, ..Sent::default() };
        verify(&place.pool, &Traffic::of(Stream { ..stream })?, &sent).await?.judge()
    }
}

/// How many bytes Postgres has written ahead so far, copies of whole pages among them: after each checkpoint there is
/// one of every page that is touched.
async fn wal_bytes(place: &Place) -> Result<f64> {
    Ok(sqlx::query_scalar("SELECT wal_bytes::float8 FROM pg_stat_wal").fetch_one(&place.pool).await?)
}

/// Webhooks a second over the last so many.
async fn stored_a_second(place: &Place, last: u64) -> Result<f64> {
    let seconds: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM max(projected_at) - min(projected_at))::float8 FROM
         (SELECT projected_at FROM webhooks ORDER BY received_at DESC LIMIT $1) last",
    )
    .bind(i64::try_from(last)?)
    .fetch_one(&place.pool)
    .await?;
    Ok(last as f64 / seconds)
}

/// Fills the tables that grow with every message, by Postgres itself. The bodies in the archive are short: its indexes
/// are what a webhook meets, not its pages.
async fn store(place: &Place) -> Result<()> {
    place.pool.execute("SELECT ensure_webhooks_partition(now())").await?;
    for statement in [
        "INSERT INTO webhooks (id, received_at, kind, dialect, headers, verified_by, body, projected_at)
         SELECT sha256(n::text::bytea), date_trunc('month', now()) + n * interval '1 microsecond',
                'whatsapp.message.sent', 'v2', '{}', 'secret:0', 'stored'::bytea, now()
         FROM generate_series(1, $1) n",
        "INSERT INTO messages (id, conversation_id, contact_alias, contact_id, direction, type, body, occurred_at, sent_at)
         SELECT 'wamid.' || md5(n::text), 'c' || n % 100000, '549' || n % 100000, '549' || n % 100000,
                'outbound', 'text', 'hola', now() - n * interval '1 second', now()
         FROM generate_series(1, $1) n",
        "INSERT INTO message_statuses (message_id, status, occurred_at)
         SELECT 'wamid.' || md5(n::text), 'sent', now() FROM generate_series(1, $1) n",
    ] {
        sqlx::query(statement).bind(i64::try_from(STORED)?).execute(&place.pool).await?;
    }
    place.pool.execute("VACUUM ANALYZE").await?;
    Ok(())
}
