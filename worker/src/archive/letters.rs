//! The dead letters as a person looks at them and settles them.

use contract::envelope::WebhookId;
use sqlx::{FromRow, PgPool, types::Json};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Which dead letters; what is none does not restrict.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only those that are open (`false`) or resolved (`true`).
    pub resolved: Option<bool>,
    /// Of webhooks of this kind.
    pub kind: Option<String>,
    /// Made then or later.
    pub since: Option<OffsetDateTime>,
    /// Made before then.
    pub until: Option<OffsetDateTime>,
    /// So many at the most.
    pub limit: Option<i64>,
}

/// A dead letter, with what the archive says of its webhook.
#[derive(Clone, Debug, FromRow)]
pub struct Letter {
    /// Its id, `dead_letters.id`.
    pub id: i64,
    /// The webhook.
    pub webhook_id: Vec<u8>,
    /// The place in its body; none for the whole of it.
    pub item: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: OffsetDateTime,
    /// When it was resolved.
    pub resolved_at: Option<OffsetDateTime>,
    /// The webhook's kind; none where the archive has no such webhook.
    pub kind: Option<String>,
    /// How often the slow lane has begun to project it.
    pub attempts: Option<i32>,
    /// Whether the webhook waits for the slow lane.
    pub pending: Option<bool>,
    /// How many were wanted, with those beyond the limit.
    pub total: i64,
}

/// A webhook as it is archived; one that came across a month's end is so twice.
#[derive(Clone, Debug, FromRow)]
pub struct Copy {
    /// When it was received.
    pub received_at: OffsetDateTime,
    /// Its kind.
    pub kind: String,
    /// Its dialect, where it could be told.
    pub dialect: Option<String>,
    /// The headers that came with it.
    pub headers: Json<BTreeMap<String, String>>,
    /// What it was signed with.
    pub verified_by: String,
    /// The body.
    pub body: Vec<u8>,
    /// When its events were projected.
    pub projected_at: Option<OffsetDateTime>,
    /// When the whole of it became a dead letter.
    pub dead_at: Option<OffsetDateTime>,
    /// How often the slow lane has begun to project it.
    pub attempts: i32,
}

macro_rules! letters {
    () => {
        "SELECT letter.id, webhook_id, item, reason, created_at, resolved_at, kind, attempts, pending,
                count(*) OVER () AS total
         FROM dead_letters letter LEFT JOIN LATERAL (
            SELECT kind, attempts, projected_at IS NULL AND dead_at IS NULL AS pending
            FROM webhooks WHERE webhooks.id = webhook_id ORDER BY received_at LIMIT 1) webhook ON true "
    };
}

/// The dead letters that are wanted, the newest first.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn list(pool: &PgPool, wanted: &Wanted) -> sqlx::Result<Vec<Letter>> {
    const LIST: &str = concat!(
        letters!(),
        "WHERE ($1::boolean IS NULL OR (resolved_at IS NOT NULL) = $1) AND ($2::text IS NULL OR kind = $2)
         AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
         ORDER BY created_at DESC, letter.id DESC LIMIT $5"
    );
    sqlx::query_as(LIST)
        .bind(wanted.resolved)
        .bind(&wanted.kind)
        .bind(wanted.since)
        .bind(wanted.until)
        .bind(wanted.limit)
        .fetch_all(pool)
        .await
}

/// One dead letter.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn find(pool: &PgPool, id: i64) -> sqlx::Result<Option<Letter>> {
    const FIND: &str = concat!(letters!(), "WHERE letter.id = $1");
    sqlx::query_as(FIND).bind(id).fetch_optional(pool).await
}

/// Every copy of a webhook, in the order in which they were received.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn copies(pool: &PgPool, webhook_id: &[u8]) -> sqlx::Result<Vec<Copy>> {
    sqlx::query_as(
        "SELECT received_at, kind, dialect, headers, verified_by, body, projected_at, dead_at, attempts
         FROM webhooks WHERE id = $1 ORDER BY received_at",
    )
    .bind(webhook_id)
    .fetch_all(pool)
    .await
}

/// Makes a webhook pending: the slow lane tries it again, as often as one that has never been
/// tried. Every copy of it; how many were not pending before.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn requeue(pool: &PgPool, webhook_id: &[u8]) -> sqlx::Result<u64> {
    let requeued = sqlx::query(
        "UPDATE webhooks SET projected_at = NULL, dead_at = NULL, attempts = 0, next_attempt_at = now()
         WHERE id = $1 AND (projected_at IS NOT NULL OR dead_at IS NOT NULL)",
    )
    .bind(webhook_id)
    .execute(pool)
    .await?;
    Ok(requeued.rows_affected())
}

/// Resolves a dead letter without projecting anything; whether it was open.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn drop(pool: &PgPool, id: i64) -> sqlx::Result<bool> {
    let dropped =
        sqlx::query("UPDATE dead_letters SET resolved_at = now() WHERE id = $1 AND resolved_at IS NULL")
            .bind(id)
            .execute(pool)
            .await?;
    Ok(dropped.rows_affected() > 0)
}

impl Letter {
    /// What is to be said of it in a word.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.resolved_at, self.pending) {
            (_, Some(true)) => "requeued",
            (Some(_), _) => "resolved",
            (None, _) => "open",
        }
    }

    /// The webhook's id in hex.
    #[must_use]
    pub fn webhook(&self) -> String {
        WebhookId::from_bytes(&self.webhook_id).map(|id| id.to_string()).unwrap_or_default()
    }
}
