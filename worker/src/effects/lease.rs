//! Choosing what to perform next, and leasing it.
//!
//! A lane's row is locked while its next effect is chosen, so that two dispatchers never
//! perform two effects of one lane at once. The lease and the attempt are committed
//! together, before any request leaves.

use std::time::{Duration, Instant};

use sqlx::{FromRow, PgPool};

use super::{EffectKind, LoopGuard};

/// How long a dispatcher has for one attempt. More than twice the time-out of a request.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long the later effects of a lane wait for one whose outcome is not known.
const UNKNOWN_HOLDS_SECONDS: f64 = 600.0;

/// An effect that is ours to perform, until its lease runs out.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) id: i64,
    pub(super) kind: EffectKind,
    pub(super) message_id: String,
    pub(super) kapso_message_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) body: Option<String>,
    /// Which attempt this is, counted from 1.
    pub(super) attempt: i32,
    /// When the lease began, at the latest.
    since: Instant,
}

impl Leased {
    /// How much of the lease is left.
    pub(super) fn left(&self) -> Duration {
        LEASE.saturating_sub(self.since.elapsed())
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    kind: String,
    message_id: String,
    kapso_message_id: Option<String>,
    conversation_id: Option<String>,
    phone_number_id: Option<String>,
    recipient: Option<String>,
    body: Option<String>,
    attempts: i32,
}

/// Lanes with something due and nothing in flight or in doubt, those due first at the front.
/// Locked: whoever has a lane's row chooses from it alone.
const LOCK_LANES: &str = "SELECT id FROM lanes WHERE id IN (
        SELECT lane FROM (
            SELECT lane, min(next_at) AS due FROM effects
            WHERE state = 'pending' AND lease IS NULL AND next_at <= now()
            AND NOT EXISTS (
                SELECT FROM effects open WHERE open.lane = effects.lane
                AND (open.lease IS NOT NULL AND open.state = 'pending'
                     OR open.state = 'unknown' AND open.settled_at > now() - make_interval(secs => $2)))
            GROUP BY lane) waiting
        ORDER BY due LIMIT $1)
     FOR UPDATE SKIP LOCKED";

/// The loop guard: replies that are due in a lane which has had too many lately.
const GUARD_LANES: &str = "UPDATE effects SET state = 'discarded', settled_at = now(),
        outcome = 'loop guard: the lane has had ' || $2 || ' replies in a minute or ' || $3 || ' in an hour'
     WHERE lane = ANY($1) AND kind = 'send_text' AND state = 'pending' AND lease IS NULL AND next_at <= now()
     AND EXISTS (
        SELECT FROM effects sent WHERE sent.lane = effects.lane AND sent.kind = 'send_text'
        AND sent.state IN ('done', 'unknown') AND sent.settled_at > now() - interval '1 hour'
        HAVING count(*) >= $3
            OR count(*) FILTER (WHERE sent.settled_at > now() - interval '1 minute') >= $2)";

/// The next effect of each locked lane: replies before marks, then in order. The lanes are
/// looked at again, now that nobody else can choose from them.
const LEASE_NEXT: &str = "WITH next AS (
        SELECT DISTINCT ON (lane) id FROM effects
        WHERE lane = ANY($1) AND state = 'pending' AND lease IS NULL AND next_at <= now()
        AND NOT EXISTS (
            SELECT FROM effects open WHERE open.lane = effects.lane
            AND (open.lease IS NOT NULL AND open.state = 'pending'
                 OR open.state = 'unknown' AND open.settled_at > now() - make_interval(secs => $2)))
        ORDER BY lane, kind = 'send_text' DESC, id),
     leased AS (
        UPDATE effects SET lease = now() + make_interval(secs => $3), attempts = attempts + 1
        FROM next WHERE effects.id = next.id
        RETURNING effects.id, kind, message_id, kapso_message_id, conversation_id, phone_number_id, recipient, body, attempts),
     attempted AS (
        INSERT INTO effect_attempts (effect_id, attempt) SELECT id, attempts FROM leased)
     SELECT * FROM leased";

/// Leases at most `limit` effects, each of another lane.
pub(super) async fn take(pool: &PgPool, limit: i64, guard: LoopGuard) -> sqlx::Result<Vec<Leased>> {
    let since = Instant::now();
    let mut tx = pool.begin().await?;
    let lanes: Vec<String> =
        sqlx::query_scalar(LOCK_LANES).bind(limit).bind(UNKNOWN_HOLDS_SECONDS).fetch_all(&mut *tx).await?;
    if lanes.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    sqlx::query(GUARD_LANES)
        .bind(&lanes)
        .bind(i64::from(guard.per_minute))
        .bind(i64::from(guard.per_hour))
        .execute(&mut *tx)
        .await?;
    let rows: Vec<Row> = sqlx::query_as(LEASE_NEXT)
        .bind(&lanes)
        .bind(UNKNOWN_HOLDS_SECONDS)
        .bind(LEASE.as_secs_f64())
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let leased = rows.into_iter().filter_map(|row| {
        // The table's CHECK lets no other kind in.
        let kind = EffectKind::named(&row.kind)?;
        Some(Leased {
            id: row.id,
            kind,
            message_id: row.message_id,
            kapso_message_id: row.kapso_message_id,
            conversation_id: row.conversation_id,
            phone_number_id: row.phone_number_id,
            recipient: row.recipient,
            body: row.body,
            attempt: row.attempts,
            since,
        })
    });
    Ok(leased.collect())
}

/// Settles what time has settled: a lease that ran out over an attempt without an outcome
/// (its worker was killed) makes the effect unknown; a pending one that has become too old
/// is discarded.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let lost = sqlx::query(
        "UPDATE effects SET state = 'unknown', lease = NULL, settled_at = now(),
            outcome = 'the worker stopped before it saw the answer'
         WHERE state = 'pending' AND lease < now()",
    )
    .execute(pool)
    .await?;
    let late = sqlx::query(
        "UPDATE effects SET state = 'discarded', settled_at = now(),
            outcome = concat_ws('; ', 'it became too old while it waited', outcome)
         WHERE state = 'pending' AND lease IS NULL AND expires_at < now()",
    )
    .execute(pool)
    .await?;
    Ok(lost.rows_affected() + late.rows_affected())
}
