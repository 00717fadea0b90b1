//! Which replies are asked about next, for one worker alone, and what is noted of them then.

use std::time::Duration;

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::{
    ask::{Asker, LEASE_SECONDS},
    claim::CLOCKS,
    decide::{HORIZON, next_listing_at},
};
use crate::kapso::ApiStyle;

/// What a listing has found is looked at within this time, and no other is needed then: a long one was asked for long
/// before its end.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(2);

/// A reply that is asked about.
#[derive(Debug, FromRow)]
pub(super) struct Due {
    pub(super) effect_id: i64,
    pub(super) attempt: i32,
    pub(super) since: OffsetDateTime,
    pub(super) deadline: OffsetDateTime,
    pub(super) absent_at: Option<OffsetDateTime>,
    pub(super) failures: i32,
    pub(super) body: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) phone_number_id: Option<String>,
    /// The contact of its lane.
    pub(super) contact_id: Option<String>,
    /// Our number or the conversation whose messages are listed.
    pub(super) asked_of: String,
    /// Now: before the question.
    pub(super) asked_at: OffsetDateTime,
}

/// Replies that one listing can tell about.
pub(super) struct Group {
    pub(super) due: Vec<Due>,
    /// Our number or the conversation.
    pub(super) asked_of: String,
    /// When the question is about to leave.
    pub(super) asked_at: OffsetDateTime,
    /// What was written before is of no concern.
    pub(super) since: OffsetDateTime,
}

/// Takes on the replies that one listing can tell about, if one is due, for one worker alone.
/// Others of the same number come along where their deadline has passed.
pub(super) async fn take(pool: &PgPool, style: ApiStyle, token: &str) -> sqlx::Result<Option<Group>> {
    const TAKE: &str = "WITH open AS (
            SELECT effect_id AS id, next_listing_at, lane, body, recipient, phone_number_id,
                CASE WHEN $2 THEN phone_number_id ELSE conversation_id END AS asked_of
            FROM effect_doubts JOIN effects ON effects.id = effect_id AND attempts = attempt
            WHERE state = 'unknown' AND given_up_at IS NULL AND deadline <= now()
            AND expires_at > now() AND settled_at > now() - make_interval(secs => $3)
            AND (asked_until IS NULL OR asked_until < now())),
         first AS (
            SELECT asked_of FROM open WHERE asked_of IS NOT NULL AND next_listing_at <= now()
            ORDER BY next_listing_at, id LIMIT 1)
         UPDATE effect_doubts taken SET asked_by = $1, asked_until = now() + make_interval(secs => $4)
         FROM open JOIN first USING (asked_of) LEFT JOIN lanes ON lanes.id = open.lane
         WHERE taken.effect_id = open.id AND (asked_until IS NULL OR asked_until < now())
         RETURNING effect_id, attempt, since, deadline, absent_at, failures, body, recipient,
            open.phone_number_id, lanes.contact_id, asked_of, now() AS asked_at";
    let due: Vec<Due> = sqlx::query_as(TAKE)
        .bind(token)
        .bind(style == ApiStyle::MetaProxy)
        .bind(HORIZON.as_secs_f64())
        .bind(LEASE_SECONDS)
        .fetch_all(pool)
        .await?;
    let Some(first) = due.first() else { return Ok(None) };
    let (asked_of, asked_at) = (first.asked_of.clone(), first.asked_at);
    let since = due.iter().map(|due| due.since).min().unwrap_or(asked_at) - CLOCKS;
    Ok(Some(Group { asked_of, asked_at, since: since.replace_nanosecond(0).unwrap_or(since), due }))
}

/// Notes that a whole listing was asked for then. Where it had the reply, that has been stored,
/// and evidence is looked at before absence.
pub(super) async fn note_absent(asker: &Asker<'_>, group: &Group, patience: Duration) -> sqlx::Result<()> {
    for due in &group.due {
        let next = next_listing_at(due.deadline, due.absent_at, group.asked_at, patience);
        sqlx::query(
            "UPDATE effect_doubts SET absent_again_at = CASE WHEN absent_at IS NOT NULL THEN $4 END,
                absent_at = COALESCE(absent_at, $4), failures = 0,
                next_listing_at = GREATEST($5, now() + make_interval(secs => $6)),
                asked_by = NULL, asked_until = NULL
             WHERE effect_id = $1 AND attempt = $2 AND asked_by = $3",
        )
        .bind(due.effect_id)
        .bind(due.attempt)
        .bind(asker.token)
        .bind(group.asked_at)
        .bind(next)
        .bind(LOOKED_AT_WITHIN.as_secs_f64())
        .execute(asker.pool)
        .await?;
    }
    Ok(())
}

/// Puts a reply off: it is asked about again after a pause.
pub(super) async fn put_off(
    asker: &Asker<'_>,
    due: &Due,
    pause: Duration,
    failures: i32,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE effect_doubts SET next_listing_at = now() + make_interval(secs => $3), failures = failures + $4,
            asked_by = NULL, asked_until = NULL
         WHERE effect_id = $1 AND asked_by = $2",
    )
    .bind(due.effect_id)
    .bind(asker.token)
    .bind(pause.as_secs_f64())
    .bind(failures)
    .execute(asker.pool)
    .await?;
    Ok(())
}
