//! Which effects are next: lanes are locked, what must not leave is taken out, and the first
//! of each lane is leased. Inside the transaction that holds the key's lock ([`super::lease`]).

use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use super::{
    dispatcher::AT_ONCE,
    lease::{LEASE, PROBE_LEASE, Wanted},
    settle, takeover,
    way::{Way, by_this_way},
    withdrawn,
};

/// How long the later effects of a lane wait for a reply whose outcome is not known; no longer than
/// it is of use.
pub(super) const UNKNOWN_HOLDS: Duration = settle::HORIZON;

/// An effect that has been leased, as the table has it.
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) message_id: String,
    pub(super) kapso_message_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) body: Option<String>,
    pub(super) attempts: i32,
}

/// How many effects of which sort a transaction may lease by a way.
pub(super) struct Share {
    /// Which way.
    pub(super) way: Way,
    /// In all.
    pub(super) room: i64,
    /// Of them marks.
    pub(super) marks: i64,
    /// Of them second attempts or later.
    pub(super) retries: i64,
    /// Whether it is a probe.
    pub(super) probe: bool,
}

impl Share {
    /// How long the leases are.
    pub(super) const fn lease(&self) -> Duration {
        if self.probe { PROBE_LEASE } else { LEASE }
    }
}

/// The condition for an effect to be next: due, the first of its kind in its lane (one that
/// is put off is not overtaken), and no reply in flight or in doubt beside it. A mark in flight or in doubt
/// holds nothing up: nobody waits for it, and twice is as good as once.
///
/// The lanes with something in flight or in doubt are few and read once, so that a lane with
/// thousands of effects behind one that is in flight costs the others little. What comes earlier
/// in a lane is asked of one row after the other: as a join, it is read whole by a plan that was
/// made before Postgres had counted a sudden backlog.
///
/// Parameters: $1, how long doubt holds a lane up; $2, whether second attempts are wanted; $4, by which way.
macro_rules! next {
    () => {
        concat!(
            "state = 'pending' AND lease IS NULL AND next_at <= now() AND expires_at >= now() AND ($2 OR attempts = 0) AND ",
            by_this_way!(),
            "
         AND COALESCE((
            SELECT false FROM effects earlier WHERE earlier.lane = effects.lane AND earlier.kind = effects.kind
            AND earlier.state = 'pending' AND earlier.id < effects.id LIMIT 1), true)
         AND effects.lane NOT IN (
            SELECT lane FROM effects busy WHERE busy.lease IS NOT NULL AND busy.kind = 'send_text'
            UNION ALL
            SELECT lane FROM effects doubted WHERE doubted.state = 'unknown' AND doubted.kind = 'send_text'
            AND doubted.settled_at > now() - make_interval(secs => $1) AND doubted.expires_at > now())"
        )
    };
}

/// What comes first: replies. A probe is a mark if there is one, because its answer may be
/// one that leaves it unknown. Parameter: $3, whether it is a probe.
macro_rules! first {
    () => {
        "(effects.kind = 'send_text') <> $3 DESC"
    };
}

/// Lanes with something to do, those with a reply and those due first at the front.
/// Locked: whoever has a lane's row chooses from it alone.
///
/// However many are wanted, of each kind as many are looked at as a worker can ever have room for: a number that
/// Postgres knows when it plans. For one that it is told later it makes a plan that reads and sorts all that are due.
const LOCK_LANES: &str = concat!(
    "SELECT id FROM lanes WHERE id = ANY (ARRAY(SELECT lane FROM (
        (SELECT lane, kind, next_at FROM effects WHERE kind = 'send_text' AND ",
    next!(),
    "    ORDER BY next_at LIMIT 256)
        UNION ALL
        (SELECT lane, kind, next_at FROM effects WHERE kind = 'mark_read' AND $6 > 0 AND ",
    next!(),
    "    ORDER BY next_at LIMIT 256)) effects
        ORDER BY ",
    first!(),
    ", next_at LIMIT $5))
     FOR UPDATE SKIP LOCKED"
);
const _: () = assert!(AT_ONCE <= 256, "LOCK_LANES would leave room unused");

/// The loop guard: replies that are due to a person who has had too many lately.
const GUARD_LANES: &str = "UPDATE effects SET state = 'discarded', settled_at = now(),
        outcome = 'loop guard: the lane has had ' || $2 || ' replies in a minute or ' || $3 || ' in an hour'
     WHERE lane = ANY($1) AND kind = 'send_text' AND state = 'pending' AND lease IS NULL AND next_at <= now()
     AND EXISTS (
        SELECT FROM lanes_of_person(effects.lane) lanes JOIN effects sent ON sent.lane = lanes.id
        WHERE sent.kind = 'send_text' AND sent.state IN ('done', 'unknown') AND sent.settled_at > now() - interval '1 hour'
        HAVING count(*) >= $3
            OR count(*) FILTER (WHERE sent.settled_at > now() - interval '1 minute') >= $2)";

/// All marks of a lane that go by this way, but the one of its newest message, which is the last to expire.
///
/// Parameters: $1, lanes, locked; $2, whether also those of messages with Kapso's id.
const COVER_MARKS: &str = "WITH marks AS (
        SELECT lane, id, lease, expires_at FROM effects
        WHERE lane = ANY($1) AND kind = 'mark_read' AND state = 'pending' AND ($2 OR kapso_message_id IS NULL)),
     newest AS (SELECT DISTINCT ON (lane) lane, id FROM marks ORDER BY lane, expires_at DESC, id DESC)
     UPDATE effects SET state = 'discarded', settled_at = now(), outcome = 'a later message''s mark covers it'
     FROM marks JOIN newest USING (lane)
     WHERE effects.id = marks.id AND marks.id <> newest.id AND marks.lease IS NULL
     AND effects.state IS NOT DISTINCT FROM 'pending'";

/// The replies that wait in these locked lanes, read before what must not leave is taken out of them. One that is owed
/// only after that has not been looked at: it waits for the next turn.
const WAITING_REPLIES: &str = "SELECT id FROM effects
     WHERE lane = ANY($1) AND kind = 'send_text' AND state = 'pending' AND lease IS NULL";

/// The next effect of each locked lane: the first of each kind is looked at, however many come
/// after it. The lanes are looked at again, now that nobody else can choose from them. A
/// projection that has just refused, moved or completed an effect has the last word; asked with `IS NOT
/// DISTINCT FROM`, which no index answers, so that rows are found by their ids.
const LEASE_NEXT: &str = concat!(
    "WITH head AS (
        SELECT DISTINCT ON (effects.lane) id, effects.lane, effects.kind, attempts, next_at
        FROM UNNEST($5::text[]) AS locked (lane) CROSS JOIN (VALUES ('send_text'), ('mark_read')) AS kinds (kind)
        CROSS JOIN LATERAL (
            SELECT * FROM effects WHERE effects.lane = locked.lane AND effects.kind = kinds.kind AND state = 'pending'
            ORDER BY id LIMIT 1) AS effects
        WHERE ",
    next!(),
    "   ORDER BY effects.lane, ",
    first!(),
    "),
     placed AS (
        SELECT id, lane, kind, attempts,
            row_number() OVER (PARTITION BY kind ORDER BY next_at, id) AS of_its_kind,
            row_number() OVER (PARTITION BY attempts > 0 ORDER BY next_at, id) AS of_its_sort
        FROM head),
     leased AS (
        UPDATE effects SET lease = now() + make_interval(secs => $8), lease_token = $9, attempts = effects.attempts + 1
        FROM placed WHERE effects.id = placed.id
        AND effects.state IS NOT DISTINCT FROM 'pending' AND effects.attempts = placed.attempts
        AND effects.lane IS NOT DISTINCT FROM placed.lane AND ",
    by_this_way!(),
    "
        AND (placed.kind <> 'send_text' OR placed.id = ANY($10))
        AND (placed.kind = 'send_text' OR of_its_kind <= $6) AND (placed.attempts = 0 OR of_its_sort <= $7)
        RETURNING effects.id, effects.kind, message_id, kapso_message_id, conversation_id, phone_number_id,
            recipient, body, effects.attempts),
     attempted AS (
        INSERT INTO effect_attempts (effect_id, attempt, started_at)
        SELECT id, attempts, statement_timestamp() FROM leased)
     SELECT * FROM leased"
);

/// Leases what may leave.
pub(super) async fn choose(
    tx: &mut PgConnection,
    share: &Share,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<Row>> {
    let effects = share.way.effects(wanted.key.by_proxy.is_some());
    let lanes: Vec<String> = sqlx::query_scalar(LOCK_LANES)
        .bind(UNKNOWN_HOLDS.as_secs_f64())
        .bind(share.retries > 0)
        .bind(share.probe)
        .bind(effects)
        .bind(share.room)
        .bind(share.marks)
        .fetch_all(&mut *tx)
        .await?;
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let replies: Vec<i64> = sqlx::query_scalar(WAITING_REPLIES).bind(&lanes).fetch_all(&mut *tx).await?;
    withdrawn::discard(&mut *tx, &lanes).await?;
    if share.way == Way::Own {
        hold_back(tx, &lanes, wanted).await?;
    }
    if share.way.marks_cover_earlier(wanted.style) {
        sqlx::query(COVER_MARKS).bind(&lanes).bind(share.way == Way::Own).execute(&mut *tx).await?;
    }
    sqlx::query_as(LEASE_NEXT)
        .bind(UNKNOWN_HOLDS.as_secs_f64())
        .bind(share.retries > 0)
        .bind(share.probe)
        .bind(effects)
        .bind(&lanes)
        .bind(share.marks)
        .bind(share.retries)
        .bind(share.lease().as_secs_f64())
        .bind(wanted.token)
        .bind(&replies)
        .fetch_all(tx)
        .await
}

/// Discards replies that must not leave these locked lanes.
async fn hold_back(tx: &mut PgConnection, lanes: &[String], wanted: &Wanted<'_>) -> sqlx::Result<()> {
    takeover::discard(&mut *tx, lanes, wanted.takeover_pause).await?;
    sqlx::query(GUARD_LANES)
        .bind(lanes)
        .bind(i64::from(wanted.guard.per_minute))
        .bind(i64::from(wanted.guard.per_hour))
        .execute(tx)
        .await?;
    Ok(())
}
