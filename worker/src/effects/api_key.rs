//! The table `api_keys`: what all workers that share a key know of it.
//!
//! Its row is locked before any other row of a transaction that needs it (and after the projections' lock, where that is
//! needed, too), so that two of them never wait for each other, and for no longer than that transaction.

use std::num::NonZeroU32;

use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    hold::{Hold, Key, Standing},
    way::Way,
};
use crate::kapso::Client;

/// The key that this worker calls with.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its name in the table.
    pub id: String,
    /// Its name where it is used for marks by the Meta proxy. That one fails or refuses the token says nothing of the
    /// other; only how often may be called they have in common, and that is in the row of the first.
    pub by_proxy: Option<String>,
    /// How many calls may leave in any minute, over all workers.
    pub calls_a_minute: NonZeroU32,
}

impl ApiKey {
    /// The key of a client.
    #[must_use]
    pub fn of(client: &Client, calls_a_minute: NonZeroU32) -> Self {
        let by_proxy = client.proxy_key_id().map(str::to_owned);
        Self { id: client.key_id().to_owned(), by_proxy, calls_a_minute }
    }
}

#[derive(FromRow)]
struct Row {
    limited_until: Option<OffsetDateTime>,
    failures: i32,
    hold_reason: Option<String>,
    held_since: Option<OffsetDateTime>,
    next_probe_at: Option<OffsetDateTime>,
    probe: Option<String>,
    probe_until: Option<OffsetDateTime>,
    marks_unpaid: bool,
}

impl From<Row> for Key {
    fn from(row: Row) -> Self {
        Self {
            limited_until: row.limited_until,
            failures: row.failures,
            hold: row.hold_reason.as_deref().map(Hold::named).zip(row.held_since),
            next_probe_at: row.next_probe_at,
            probe: row.probe.zip(row.probe_until),
            marks_unpaid: row.marks_unpaid,
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

/// What is known of a key, and of it at the proxy; at what time; and whether an effect is due. Locks nothing.
pub(super) async fn look(
    pool: &PgPool,
    key: &ApiKey,
) -> sqlx::Result<(Key, Option<Key>, OffsetDateTime, bool)> {
    let ids: Vec<&str> = [key.id.as_str()].into_iter().chain(key.by_proxy.as_deref()).collect();
    let glances: Vec<Glance> = sqlx::query_as(
        "SELECT now(), EXISTS (SELECT FROM effects WHERE kind = ANY('{send_text,mark_read}')
                AND state = 'pending' AND lease IS NULL AND next_at <= now()) AS due,
            limited_until, COALESCE(failures, 0) AS failures, hold_reason, held_since, next_probe_at, probe, probe_until,
            COALESCE(marks_unpaid, false) AS marks_unpaid
         FROM UNNEST($1::text[]) WITH ORDINALITY AS wanted (id, place) LEFT JOIN api_keys USING (id) ORDER BY place",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let mut glances = glances.into_iter();
    let first = glances.next().ok_or(sqlx::Error::RowNotFound)?;
    Ok((first.row.into(), glances.next().map(|it| it.row.into()), first.now, first.due))
}

/// Locks a key until the end of the transaction.
pub(super) async fn lock(tx: &mut PgConnection, id: &str) -> sqlx::Result<Key> {
    // By name: a later version adds columns while this one runs, and what is prepared must not change.
    const LOCK: &str =
        "SELECT limited_until, failures, hold_reason, held_since, next_probe_at, probe, probe_until,
            marks_unpaid
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

/// Locks a key, and what is known of it at the proxy: always in this order.
pub(super) async fn lock_all<'a>(
    tx: &mut PgConnection,
    key: &'a ApiKey,
) -> sqlx::Result<Vec<(Way, &'a str, Key)>> {
    let mut keys = vec![(Way::Own, key.id.as_str(), lock(tx, &key.id).await?)];
    if let Some(id) = &key.by_proxy {
        keys.push((Way::Proxy, id, lock(tx, id).await?));
    }
    Ok(keys)
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
            next_probe_at = $6, probe = $7, probe_until = $8, marks_unpaid = $9,
            unpaid_since = $10 WHERE id = $1",
    )
    .bind(id)
    .bind(key.limited_until)
    .bind(key.failures)
    .bind(key.hold.map(|(hold, _)| hold.kept_as()))
    .bind(key.hold.map(|(_, since)| since))
    .bind(key.next_probe_at)
    .bind(key.probe.as_ref().map(|(probe, _)| probe))
    .bind(key.probe.as_ref().map(|(_, until)| until))
    .bind(key.marks_unpaid)
    .bind(key.hold.filter(|(hold, _)| *hold == Hold::CreditsExhausted).map(|(_, since)| since))
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
    let is_news = |(standing, _): &(Standing, &str)| {
        !matches!(standing, Standing::Works | Standing::Performed(_) | Standing::Untold)
    };
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

/// Says once, when it begins and when it ends, that only probes are sent by this way.
pub(super) fn tell(way: Way, before: &Key, after: &Key) {
    let hold = |key: &Key| key.hold.map(|(hold, _)| hold);
    let failures = after.failures;
    match (hold(before), hold(after), way) {
        (was, is, _) if was == is => {}
        (_, Some(Hold::TokenRefused), Way::Own) => tracing::error!(
            "Kapso refuses the token, and nothing is sent: set KAPSO_API_TOKEN and restart; one probe a minute sees whether it works again"
        ),
        (_, Some(Hold::TokenRefused), Way::Proxy) => tracing::error!(
            "Kapso's Meta proxy refuses the token, and nothing is marked as read: look at KAPSO_API_TOKEN and KAPSO_META_PROXY_URL; one probe a minute sees whether it works again"
        ),
        (_, Some(Hold::CreditsExhausted), Way::Own) => tracing::error!(
            "Kapso's credits are exhausted (HTTP 402), and nothing is sent: add credits in Kapso, under Billing; one probe a minute sees whether it works again"
        ),
        (_, Some(Hold::CreditsExhausted), Way::Proxy) => tracing::error!(
            "Kapso's credits are exhausted (HTTP 402 of its Meta proxy), and nothing is marked as read: add credits in Kapso, under Billing; one probe a minute sees whether it works again"
        ),
        (_, Some(Hold::Failing), Way::Own) => {
            tracing::warn!(failures, "calls to Kapso fail: one probe at a time from now on");
        }
        (_, Some(Hold::Failing), Way::Proxy) => {
            tracing::warn!(failures, "calls to Kapso's Meta proxy fail: one mark at a time from now on");
        }
        (_, None, Way::Own) => tracing::info!("Kapso answers again: effects go on"),
        (_, None, Way::Proxy) => tracing::info!("Kapso's Meta proxy answers again: marks go on"),
    }
}
