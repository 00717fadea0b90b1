//! The table `api_keys`: what all workers that share a key know of it.
//!
//! Its row is locked before any other row of a transaction that needs it (and after the projections' lock, where that is
//! needed, too), so that two of them never wait for each other, and for no longer than that transaction.

use std::num::NonZeroU32;

use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use super::hold::{Hold, Key, Standing};

/// The key that this worker calls with.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its name in the table.
    pub id: String,
    /// How many calls may leave in any minute, over all workers.
    pub calls_a_minute: NonZeroU32,
}

#[derive(FromRow)]
struct Row {
    limited_until: Option<OffsetDateTime>,
    failures: i32,
    hold: Option<String>,
    held_since: Option<OffsetDateTime>,
    next_probe_at: Option<OffsetDateTime>,
    probe: Option<String>,
    probe_until: Option<OffsetDateTime>,
}

impl From<Row> for Key {
    fn from(row: Row) -> Self {
        Self {
            limited_until: row.limited_until,
            failures: row.failures,
            hold: row.hold.as_deref().and_then(Hold::named).zip(row.held_since),
            next_probe_at: row.next_probe_at,
            probe: row.probe.zip(row.probe_until),
        }
    }
}

/// What one look at the outbox tells, without waiting for those who are changing it.
#[derive(FromRow)]
struct Glance {
    now: OffsetDateTime,
    due: bool,
    #[sqlx(flatten)]
    row: Row,
}

/// What is known of a key, at what time, and whether an effect is due. Locks nothing.
pub(super) async fn look(pool: &PgPool, id: &str) -> sqlx::Result<(Key, OffsetDateTime, bool)> {
    let glance: Glance = sqlx::query_as(
        "SELECT now(), EXISTS (SELECT FROM effects WHERE kind = ANY('{send_text,mark_read}')
                AND state = 'pending' AND lease IS NULL AND next_at <= now()) AS due,
            limited_until, COALESCE(failures, 0) AS failures, hold, held_since, next_probe_at, probe, probe_until
         FROM (SELECT) AS always LEFT JOIN api_keys ON id = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await?;
    Ok((glance.row.into(), glance.now, glance.due))
}

/// Locks a key until the end of the transaction.
pub(super) async fn lock(tx: &mut PgConnection, id: &str) -> sqlx::Result<Key> {
    // By name: a later version adds columns while this one runs, and what is prepared must not change.
    const LOCK: &str = "SELECT limited_until, failures, hold, held_since, next_probe_at, probe, probe_until
         FROM api_keys WHERE id = $1 FOR UPDATE";
    if let Some(row) = sqlx::query_as::<_, Row>(LOCK).bind(id).fetch_optional(&mut *tx).await? {
        return Ok(row.into());
    }
    sqlx::query("INSERT INTO api_keys (id) VALUES ($1) ON CONFLICT (id) DO NOTHING")
        .bind(id)
        .execute(&mut *tx)
        .await?;
    Ok(sqlx::query_as::<_, Row>(LOCK).bind(id).fetch_one(tx).await?.into())
}

/// The time, and how many calls have left within the last minute. Asked in a statement of
/// its own, after the lock: what others leased before has been committed by then. A second
/// more than a minute, because a request leaves a little later than it is leased; and calls are
/// counted by whole seconds.
pub(super) async fn calls_lately(tx: &mut PgConnection) -> sqlx::Result<(OffsetDateTime, i64)> {
    sqlx::query_as(
        "SELECT statement_timestamp(), (
            SELECT COALESCE(sum(calls), 0)::bigint FROM api_calls
            WHERE second > statement_timestamp() - interval '62 seconds') + (
            SELECT count(*) FROM effect_listings WHERE asked_at > statement_timestamp() - interval '62 seconds')",
    )
    .fetch_one(tx)
    .await
}

/// Forgets the calls that no limit counts any more.
pub(super) async fn forget_calls(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM api_calls WHERE second < now() - interval '5 minutes'").execute(pool).await?;
    Ok(())
}

/// Writes what has become of a locked key.
pub(super) async fn save(tx: &mut PgConnection, id: &str, key: &Key) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE api_keys SET limited_until = $2, failures = $3, hold = $4, held_since = $5,
            next_probe_at = $6, probe = $7, probe_until = $8 WHERE id = $1",
    )
    .bind(id)
    .bind(key.limited_until)
    .bind(key.failures)
    .bind(key.hold.map(|(hold, _)| hold.name()))
    .bind(key.hold.map(|(_, since)| since))
    .bind(key.next_probe_at)
    .bind(key.probe.as_ref().map(|(probe, _)| probe))
    .bind(key.probe.as_ref().map(|(_, until)| until))
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes what answers say of the key, each with the lease of its call; the key before and
/// after. As long as all is well nothing is locked.
pub(super) async fn note(
    tx: &mut PgConnection,
    id: &str,
    answers: &[(Standing, &str)],
) -> sqlx::Result<Option<(Key, Key)>> {
    let is_news = |(standing, _): &(Standing, &str)| !matches!(standing, Standing::Works | Standing::Untold);
    let concerned: bool = sqlx::query_scalar(
        "SELECT $2 OR EXISTS (SELECT FROM api_keys WHERE id = $1 AND (failures > 0 OR hold IS NOT NULL))",
    )
    .bind(id)
    .bind(answers.iter().any(is_news))
    .fetch_one(&mut *tx)
    .await?;
    if !concerned {
        return Ok(None);
    }
    let before = lock(tx, id).await?;
    let now = sqlx::query_scalar("SELECT statement_timestamp()").fetch_one(&mut *tx).await?;
    let after =
        answers.iter().fold(before.clone(), |key, (standing, token)| key.after(*standing, token, now));
    save(tx, id, &after).await?;
    Ok(Some((before, after)))
}

/// Says once, when it begins and when it ends, that only probes are sent.
pub(super) fn tell(before: &Key, after: &Key) {
    let hold = |key: &Key| key.hold.map(|(hold, _)| hold);
    match (hold(before), hold(after)) {
        (was, is) if was == is => {}
        (_, Some(Hold::TokenRefused)) => tracing::error!(
            "Kapso refuses the token, and nothing is sent: set KAPSO_API_TOKEN and restart; one probe a minute sees whether it works again"
        ),
        (_, Some(Hold::Failing)) => {
            tracing::warn!(failures = after.failures, "calls to Kapso fail: one probe at a time from now on");
        }
        (_, None) => tracing::info!("Kapso answers again: effects go on"),
    }
}
