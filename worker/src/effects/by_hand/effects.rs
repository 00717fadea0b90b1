//! Effects as a person looks at them, and as one decides about them.

use contract::shown;
use serde_json::Value;
use sqlx::{FromRow, PgPool, types::Json};
use time::OffsetDateTime;

use crate::effects::{choose::UNKNOWN_HOLDS, outcome::HELD};

/// How long an effect may be tried for that a person wants sent although it is too old.
const ANOTHER_CHANCE_SECONDS: f64 = 900.0;

/// Which effects; what is none does not restrict.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In this state.
    pub state: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of one of these lanes.
    pub lanes: Option<Vec<String>>,
    /// Of messages of this conversation.
    pub conversation: Option<String>,
    /// Owed then or later.
    pub since: Option<OffsetDateTime>,
    /// So many at the most.
    pub limit: Option<i64>,
}

/// An effect, with what is known of the message that caused it.
#[derive(Clone, Debug, FromRow)]
pub struct Effect {
    /// Its id.
    pub id: i64,
    /// Its state.
    pub state: String,
    /// Its kind.
    pub kind: String,
    /// The message that caused it.
    pub message_id: String,
    /// Its conversation.
    pub conversation_id: Option<String>,
    /// Its lane.
    pub lane: String,
    /// Whom it goes to.
    pub recipient: Option<String>,
    /// The text of a reply.
    pub body: Option<String>,
    /// The rule that owed it.
    pub rule: Option<String>,
    /// How many requests have been allowed to leave.
    pub attempts: i32,
    /// No attempt before then.
    pub next_at: OffsetDateTime,
    /// No attempt after then.
    pub expires_at: OffsetDateTime,
    /// A dispatcher is performing it, until then at the latest.
    pub lease: Option<OffsetDateTime>,
    /// How the last attempt ended, or why there was none.
    pub outcome: Option<String>,
    /// The message that it became.
    pub sent_message_id: Option<String>,
    /// How far that message has got.
    pub sent_status: Option<String>,
    /// Why it failed, as it was told.
    pub sent_error: Option<Json<Value>>,
    /// When it was owed.
    pub created_at: OffsetDateTime,
    /// When it was settled.
    pub settled_at: Option<OffsetDateTime>,
    /// When a person last wanted it tried again.
    pub retried_at: Option<OffsetDateTime>,
    /// When the message was written.
    pub written_at: Option<OffsetDateTime>,
    /// The effect of its lane that it waits for; not looked for in a list.
    pub waits_for: Option<i64>,
    /// How many were wanted, with those beyond the limit.
    pub total: i64,
}

impl Effect {
    /// Whether Meta has taken the message that it became, and holds it: no status says more of it yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let has_gone_on = matches!(self.sent_status.as_deref(), Some("delivered" | "read" | "failed"));
        self.state == "done" && self.outcome.as_deref() == Some(HELD) && !has_gone_on
    }

    /// Why the message that it became failed after Kapso had taken it, if it did: in words, and without numbers.
    #[must_use]
    pub fn failed_since(&self) -> Option<String> {
        self.sent_status.as_deref().filter(|status| *status == "failed")?;
        let error = self.sent_error.as_ref().map(|Json(error)| error.get(0).unwrap_or(error));
        let field = |name: &str| error?.get(name);
        let text = ["title", "message", "details"].into_iter().find_map(|name| field(name)?.as_str());
        let text = shown::remark(text.or(error.and_then(Value::as_str)).unwrap_or("no reason was given"));
        Some(match field("code").and_then(Value::as_i64) {
            Some(code) => format!("{text} ({code})"),
            None => text,
        })
    }
}

/// One request that was allowed to leave.
#[derive(Clone, Debug, FromRow)]
pub struct Attempt {
    /// Which, counted from 1.
    pub attempt: i32,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When its end was seen.
    pub finished_at: Option<OffsetDateTime>,
    /// What was answered.
    pub http_status: Option<i32>,
    /// How it ended.
    pub outcome: Option<String>,
}

macro_rules! effects {
    ($waits_for:expr, $total:expr) => {
        concat!(
            "SELECT effects.id, state, kind, message_id, effects.conversation_id, lane, recipient, effects.body, rule,
                attempts, next_at, expires_at, lease, outcome, sent_message_id, created_at, settled_at, retried_at,
                sent.status AS sent_status, sent.error AS sent_error, messages.occurred_at AS written_at, ",
            $waits_for,
            " AS waits_for, ",
            $total,
            " AS total
             FROM effects LEFT JOIN messages ON messages.id = message_id
             LEFT JOIN messages sent ON sent.id = sent_message_id "
        )
    };
}

/// Which are wanted: $1 to $5.
macro_rules! chosen {
    () => {
        "($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)
         AND ($3::text[] IS NULL OR lane = ANY($3)) AND ($4::text IS NULL OR effects.conversation_id = $4)
         AND ($5::timestamptz IS NULL OR created_at >= $5)"
    };
}

/// The effects that are wanted, the newest first.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn list(pool: &PgPool, wanted: &Wanted) -> sqlx::Result<Vec<Effect>> {
    // They are counted by themselves: few of them are shown, and only those need their messages.
    const LIST: &str = concat!(
        effects!("NULL::bigint", concat!("(SELECT count(*) FROM effects WHERE ", chosen!(), ")")),
        "WHERE ",
        chosen!(),
        " ORDER BY effects.id DESC LIMIT $6"
    );
    sqlx::query_as(LIST)
        .bind(&wanted.state)
        .bind(&wanted.kind)
        .bind(&wanted.lanes)
        .bind(&wanted.conversation)
        .bind(wanted.since)
        .bind(wanted.limit)
        .fetch_all(pool)
        .await
}

/// One effect.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn find(pool: &PgPool, id: i64) -> sqlx::Result<Option<Effect>> {
    const FIND: &str = concat!(
        effects!(
            "(SELECT min(other.id) FROM effects other WHERE other.lane = effects.lane AND other.id <> effects.id
              AND other.state IN ('pending', 'unknown')
              AND (other.lease IS NOT NULL
                   OR other.state = 'pending' AND other.kind = effects.kind AND other.id < effects.id
                   OR other.state = 'unknown' AND other.kind = 'send_text' AND other.expires_at > now()
                   AND other.settled_at > now() - make_interval(secs => $2)))",
            "1::bigint"
        ),
        "WHERE effects.id = $1"
    );
    sqlx::query_as(FIND).bind(id).bind(UNKNOWN_HOLDS.as_secs_f64()).fetch_optional(pool).await
}

/// Its attempts, the first first.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn attempts(pool: &PgPool, id: i64) -> sqlx::Result<Vec<Attempt>> {
    let select = "SELECT attempt, started_at, finished_at, http_status, outcome FROM effect_attempts
                  WHERE effect_id = $1 ORDER BY attempt";
    sqlx::query_as(select).bind(id).fetch_all(pool).await
}

/// Makes an effect pending that is in `state`, discarded or unknown; false if it no longer is. One
/// that is too old has a quarter of an hour.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn retry(pool: &PgPool, id: i64, state: &str) -> sqlx::Result<bool> {
    let retried = sqlx::query(
        "UPDATE effects SET state = 'pending', settled_at = NULL, lease = NULL, lease_token = NULL,
            next_at = now(), retried_at = now(), refused = NULL,
            expires_at = CASE WHEN expires_at < now() THEN now() + make_interval(secs => $3) ELSE expires_at END,
            outcome = concat_ws('; ', 'tried again by hand', outcome)
         WHERE id = $1 AND state = $2 AND state IN ('discarded', 'unknown')",
    )
    .bind(id)
    .bind(state)
    .bind(ANOTHER_CHANCE_SECONDS)
    .execute(pool)
    .await?;
    Ok(retried.rows_affected() > 0)
}

/// Discards an effect that is pending and in nobody's hand, or unknown; whether it was so.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn discard(pool: &PgPool, id: i64, reason: &str) -> sqlx::Result<bool> {
    let discarded = sqlx::query(
        "UPDATE effects SET state = 'discarded', settled_at = now(), outcome = concat_ws('; ', 'by hand: ' || $2, outcome)
         WHERE id = $1 AND (state = 'unknown' OR state = 'pending' AND lease IS NULL)",
    )
    .bind(id)
    .bind(reason)
    .execute(pool)
    .await?;
    Ok(discarded.rows_affected() > 0)
}
