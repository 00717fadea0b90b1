//! The table `effect_doubts`, and what the projections say about those in it.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::{
    claim::{CLOCKS, Candidate, Claimant},
    decide::Doubt,
};
use crate::{effects::lease::LEASE, kapso::REQUEST_TIMEOUT};

/// How long what comes by webhook may still settle a reply: statuses come for as long as the
/// contact's phone is off, and after a day nobody asks any more.
pub(super) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A reply that has no message yet.
#[derive(Clone, Debug, FromRow)]
pub(super) struct InDoubt {
    pub(super) lane: String,
    pub(super) id: i64,
    state: String,
    /// How many attempts have been made.
    pub(super) attempts: i32,
    body: Option<String>,
    settled_at: Option<OffsetDateTime>,
    expires_at: OffsetDateTime,
    since: OffsetDateTime,
    attempt: i32,
    deadline: OffsetDateTime,
    absent_at: Option<OffsetDateTime>,
    absent_again_at: Option<OffsetDateTime>,
    given_up: bool,
}

impl InDoubt {
    /// What is decided from.
    pub(super) fn doubt(&self) -> Doubt {
        // What was listed about an attempt says nothing of a later one.
        let listed = self.attempt == self.attempts;
        Doubt {
            done: self.state == "done",
            pending: self.state == "pending",
            deadline: self.deadline,
            absent_at: self.absent_at.filter(|_| listed),
            absent_again_at: self.absent_again_at.filter(|_| listed),
            settled_at: self.settled_at,
            expires_at: self.expires_at,
            given_up: self.given_up,
        }
    }

    fn claimant(&self) -> Claimant {
        let (effect, body, since) = (self.id, self.body.clone(), self.since);
        Claimant { effect, body, since, known_by_wamid: None }
    }
}

/// What is known of one lane.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) replies: Vec<InDoubt>,
    pub(super) claimants: Vec<Claimant>,
    pub(super) candidates: Vec<Candidate>,
}

/// Which lanes are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lanes<'a> {
    /// Those with a reply that is still looked for.
    Open,
    /// Those with one that was given up, too.
    All,
    /// This one.
    One(&'a str),
}

/// Takes up the replies that are in doubt now, or done without a message, and drops those that
/// are settled.
pub(super) async fn keep(connection: &mut PgConnection) -> sqlx::Result<()> {
    const TAKE_UP: &str = "INSERT INTO effect_doubts AS old (effect_id, since, attempt, deadline, next_listing_at)
         SELECT id, started_at, attempts, deadline, deadline
         FROM effects JOIN effect_attempts ON effect_id = id AND attempt = attempts
         CROSS JOIN LATERAL (SELECT GREATEST(
            started_at + make_interval(secs => $1),
            COALESCE(finished_at, started_at + make_interval(secs => $2))) AS deadline) ends
         WHERE kind = 'send_text' AND sent_message_id IS NULL AND state IN ('unknown', 'done')
         AND settled_at > now() - make_interval(secs => $3)
         AND NOT EXISTS (SELECT FROM effect_doubts known WHERE known.effect_id = id AND known.attempt = attempts)
         ON CONFLICT (effect_id) DO UPDATE SET attempt = EXCLUDED.attempt, deadline = EXCLUDED.deadline,
            next_listing_at = EXCLUDED.next_listing_at, absent_at = NULL, absent_again_at = NULL, failures = 0,
            asked_by = NULL, asked_until = NULL, given_up_at = NULL
         WHERE old.attempt < EXCLUDED.attempt";
    const DROP: &str = "DELETE FROM effect_doubts USING effects WHERE id = effect_id
         AND (state = 'discarded' OR sent_message_id IS NOT NULL
              OR settled_at <= now() - make_interval(secs => $1))";
    sqlx::query(TAKE_UP)
        .bind(REQUEST_TIMEOUT.as_secs_f64())
        .bind(LEASE.as_secs_f64())
        .bind(KEPT.as_secs_f64())
        .execute(&mut *connection)
        .await?;
    sqlx::query(DROP).bind(KEPT.as_secs_f64()).execute(connection).await?;
    Ok(())
}

/// The replies in doubt. One that is leased is being sent again: nothing is to be decided of it.
const REPLIES: &str =
    "SELECT lane, id, state, attempts, body, settled_at, expires_at, since, attempt, deadline,
        absent_at, absent_again_at, given_up_at IS NOT NULL AS given_up
     FROM effect_doubts JOIN effects ON id = effect_id
     WHERE lease IS NULL AND sent_message_id IS NULL AND state IN ('unknown', 'pending', 'done')
     AND ($1 OR given_up_at IS NULL) AND ($2::text IS NULL OR lane = $2)
     ORDER BY id";

/// The messages of ours in their lanes since, which no effect has: by contact and number, or by
/// conversation. What a person wrote on the phone, and what was imported, we did not send.
macro_rules! unclaimed {
    ($of_the_lane:literal) => {
        concat!(
            "SELECT asked.lane, messages.id, messages.body, messages.callback_data,
                COALESCE(occurred_at, sent_at) AS written_at,
                LEAST(occurred_at, sent_at, delivered_at, read_at, failed_at) AS first_at
             FROM asked JOIN lanes ON lanes.id = asked.lane JOIN messages ON ",
            $of_the_lane,
            " WHERE direction = 'outbound' AND COALESCE(origin, '') NOT IN ('business_app', 'history_sync')
             AND (occurred_at IS NULL OR occurred_at >= asked.since)
             AND LEAST(occurred_at, sent_at, delivered_at, read_at, failed_at) >= asked.since
             AND NOT EXISTS (SELECT FROM effects claimed WHERE claimed.sent_message_id = messages.id)
             AND NOT EXISTS (
                SELECT FROM message_aliases other JOIN effects claimed ON claimed.sent_message_id = other.alias
                WHERE other.id = messages.id)"
        )
    };
}

/// Parameters: $1, the effects; $2, by how much clocks may differ.
const CANDIDATES: &str = concat!(
    "WITH asked AS (
        SELECT lane, conversation_id, min(since) - make_interval(secs => $2) AS since
        FROM effect_doubts JOIN effects ON id = effect_id WHERE id = ANY($1) GROUP BY lane, conversation_id) ",
    unclaimed!(
        "messages.contact_id = lanes.contact_id
         AND (messages.phone_number_id IS NULL OR messages.phone_number_id = lanes.phone_number_id)"
    ),
    " UNION ",
    unclaimed!("messages.conversation_id = asked.conversation_id")
);

/// Replies of these lanes that have a message under one kind of name alone, since shortly before.
const KNOWN_BY_ONE_NAME: &str =
    "SELECT sent.lane, sent.id AS effect, sent.body, started_at AS since, sent_message_id LIKE 'wamid.%' AS by_wamid
     FROM (SELECT lane, min(since) - make_interval(secs => $2) AS since
           FROM effect_doubts JOIN effects ON id = effect_id WHERE id = ANY($1) GROUP BY lane) asked
     JOIN effects sent ON sent.lane = asked.lane AND sent.kind = 'send_text' AND sent.state IN ('done', 'unknown')
        AND sent.settled_at >= asked.since AND sent.sent_message_id IS NOT NULL
     JOIN effect_attempts ON effect_id = sent.id AND attempt = sent.attempts
     WHERE NOT EXISTS (
        SELECT FROM message_aliases WHERE message_aliases.id = sent_message_id
        AND (alias LIKE 'wamid.%') <> (sent_message_id LIKE 'wamid.%'))";

#[derive(FromRow)]
struct OfLane<T: for<'r> FromRow<'r, sqlx::postgres::PgRow>> {
    lane: String,
    #[sqlx(flatten)]
    row: T,
}

#[derive(FromRow)]
struct CandidateRow {
    id: String,
    body: Option<String>,
    callback_data: Option<String>,
    written_at: Option<OffsetDateTime>,
    first_at: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct KnownRow {
    effect: i64,
    body: Option<String>,
    since: OffsetDateTime,
    by_wamid: bool,
}

/// What is known now, by lane, and what time it is. Asked in statements of its own: where a
/// lock was taken before, what others committed until then is seen.
pub(super) async fn look(
    connection: &mut PgConnection,
    lanes: Lanes<'_>,
) -> sqlx::Result<(BTreeMap<String, Known>, OffsetDateTime)> {
    let one = if let Lanes::One(lane) = lanes { Some(lane) } else { None };
    let replies: Vec<InDoubt> = sqlx::query_as(REPLIES)
        .bind(!matches!(lanes, Lanes::Open))
        .bind(one)
        .fetch_all(&mut *connection)
        .await?;
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let effects: Vec<i64> = replies.iter().map(|reply| reply.id).collect();
    for reply in replies {
        let of_lane = known.entry(reply.lane.clone()).or_default();
        of_lane.claimants.push(reply.claimant());
        of_lane.replies.push(reply);
    }
    if !effects.is_empty() {
        let candidates: Vec<OfLane<CandidateRow>> = sqlx::query_as(CANDIDATES)
            .bind(&effects)
            .bind(CLOCKS.as_secs_f64() + 1.0)
            .fetch_all(&mut *connection)
            .await?;
        for OfLane { lane, row } in candidates {
            let CandidateRow { id, body, callback_data, written_at, first_at } = row;
            let candidate = Candidate { id, body, callback_data, written_at, first_at };
            known.entry(lane).or_default().candidates.push(candidate);
        }
        let others: Vec<OfLane<KnownRow>> = sqlx::query_as(KNOWN_BY_ONE_NAME)
            .bind(&effects)
            .bind(CLOCKS.as_secs_f64() + 1.0)
            .fetch_all(&mut *connection)
            .await?;
        for OfLane { lane, row: KnownRow { effect, body, since, by_wamid } } in others {
            let claimant = Claimant { effect, body, since, known_by_wamid: Some(by_wamid) };
            known.entry(lane).or_default().claimants.push(claimant);
        }
    }
    let now = sqlx::query_scalar("SELECT statement_timestamp()").fetch_one(connection).await?;
    Ok((known, now))
}
