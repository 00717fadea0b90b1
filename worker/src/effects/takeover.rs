//! A person has taken over a conversation, or paused it by hand: its replies are discarded.
//!
//! What a takeover is, the database's function `takeovers` says. It is asked when a reply
//! would be leased, and nothing is noted before: so what a webhook told is in force from its
//! commit on, whatever order things came in.

use sqlx::PgConnection;
use time::Duration;

/// Replies that waited when a pause began, or were owed while it lasted: those whose message was
/// written before its end. One that a person wants tried again has waited since then only.
///
/// Parameters: $1, lanes, locked; $2, for how many seconds a takeover lasts.
macro_rules! discard {
    ($takeovers:literal) => {
        concat!(
            "WITH waiting AS (
                SELECT effects.id, lane,
                    COALESCE(retried_at, LEAST(effects.created_at, messages.occurred_at)) AS since
                FROM effects LEFT JOIN messages ON messages.id = effects.message_id
                WHERE lane = ANY($1) AND kind = 'send_text' AND state = 'pending' AND lease IS NULL),
             paused AS (
                SELECT DISTINCT ON (waiting.id) waiting.id, pause.until, pause.why
                FROM waiting JOIN lanes ON lanes.id = waiting.lane
                CROSS JOIN LATERAL (
                    SELECT theirs.paused_until, COALESCE(theirs.pause_reason, 'by hand')
                    FROM lanes_of_person(waiting.lane) theirs WHERE theirs.paused_until IS NOT NULL",
            $takeovers,
            ") pause (until, why)
                WHERE pause.until > waiting.since
                ORDER BY waiting.id, pause.until DESC, pause.why)
             UPDATE effects SET state = 'discarded', settled_at = now(),
                outcome = 'a person has taken over the conversation, until '
                    || to_char(until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC: ' || why
             FROM paused WHERE paused.id = effects.id"
        )
    };
}

/// By what people did, and by hand.
const TAKEN_OVER: &str = discard!(
    " UNION ALL
      SELECT at + make_interval(secs => $2),
             CASE by WHEN 'business_app' THEN 'somebody wrote in the phone''s app'
                     WHEN 'handoff' THEN 'a workflow handed over to a person'
                     ELSE 'a message went out that is none of ours' END
      FROM takeovers(lanes.id, GREATEST(lanes.resumed_at, waiting.since - make_interval(secs => $2)))"
);

/// By hand only. A statement of its own: to plan the other one costs Postgres far more than to run either.
const PAUSED: &str = discard!("");

/// Discards what must not leave these locked lanes because of a person; how much that was.
pub(super) async fn discard(tx: &mut PgConnection, lanes: &[String], pause: Duration) -> sqlx::Result<u64> {
    let discard = if pause.is_positive() {
        sqlx::query(TAKEN_OVER).bind(lanes).bind(pause.as_seconds_f64())
    } else {
        sqlx::query(PAUSED).bind(lanes)
    };
    let discarded = discard.execute(tx).await?.rows_affected();
    if discarded > 0 {
        tracing::info!(count = discarded, "replies are discarded: a person has taken over");
    }
    Ok(discarded)
}
