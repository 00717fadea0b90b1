//! The table `alarms`: what is raised, who logs it, and who is told when.

use contract::alarm::Telling;
use sqlx::{FromRow, PgPool};
use time::{Duration, OffsetDateTime};

use super::{Alarm, Verdict};

/// What lasts is logged again after so long.
const LOG_AGAIN_AFTER: Duration = Duration::hours(1);

/// For how long nobody else tells what somebody is telling.
const LEASE_SECONDS: f64 = 30.0;

#[derive(FromRow)]
struct Row {
    raised_at: Option<OffsetDateTime>,
    resolved_at: Option<OffsetDateTime>,
    logged_at: Option<OffsetDateTime>,
    next_tell_at: Option<OffsetDateTime>,
    told: bool,
    failures: i32,
    now: OffsetDateTime,
}

/// What a verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is raised, and was not.
    Raised,
    /// It lasts, and is worth a line again.
    Lasts,
    /// It is over.
    Resolved,
    /// Nothing that is worth a line.
    Nothing,
}

/// Writes down what a look says of an alarm. The row's lock makes one of several workers the
/// one that logs.
pub(super) async fn note(pool: &PgPool, alarm: Alarm, verdict: &Verdict) -> sqlx::Result<Change> {
    if *verdict == Verdict::Unknown {
        return Ok(Change::Nothing);
    }
    let mut tx = pool.begin().await?;
    if matches!(verdict, Verdict::Raised(_)) {
        sqlx::query("INSERT INTO alarms (alarm) VALUES ($1) ON CONFLICT (alarm) DO NOTHING")
            .bind(alarm.name())
            .execute(&mut *tx)
            .await?;
    }
    // The lock may have been waited for: the clock, not the transaction's time.
    let row: Option<Row> = sqlx::query_as(
        "SELECT raised_at, resolved_at, logged_at, next_tell_at, told, failures, clock_timestamp() AS now
         FROM alarms WHERE alarm = $1 FOR UPDATE",
    )
    .bind(alarm.name())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(Change::Nothing) };
    if *verdict == Verdict::Fine && !row.is_raised() {
        return Ok(Change::Nothing);
    }
    let (change, next) = row.after(verdict);
    sqlx::query(
        "UPDATE alarms SET raised_at = $2, resolved_at = $3, logged_at = $4, next_tell_at = $5, told = $6,
            failures = $7, text = COALESCE($8, text) WHERE alarm = $1",
    )
    .bind(alarm.name())
    .bind(next.raised_at)
    .bind(next.resolved_at)
    .bind(next.logged_at)
    .bind(next.next_tell_at)
    .bind(next.told)
    .bind(next.failures)
    .bind(if let Verdict::Raised(text) = verdict { Some(text) } else { None })
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(change)
}

impl Row {
    fn is_raised(&self) -> bool {
        self.raised_at.is_some() && self.resolved_at.is_none()
    }

    fn telling(&self) -> Telling {
        Telling {
            due: self.next_tell_at,
            told: self.told,
            failures: self.failures.try_into().unwrap_or_default(),
        }
    }

    fn with(self, telling: Telling) -> Self {
        let failures = telling.failures.try_into().unwrap_or(i32::MAX);
        Self { next_tell_at: telling.due, told: telling.told, failures, ..self }
    }

    fn after(self, verdict: &Verdict) -> (Change, Self) {
        let now = self.now;
        match (verdict, self.is_raised()) {
            (Verdict::Raised(_), false) => {
                let raised = Self { raised_at: Some(now), resolved_at: None, logged_at: Some(now), ..self };
                (Change::Raised, raised.with(Telling::raised(now)))
            }
            (Verdict::Raised(_), true) if self.logged_at.is_none_or(|at| now - at >= LOG_AGAIN_AFTER) => {
                (Change::Lasts, Self { logged_at: Some(now), ..self })
            }
            (Verdict::Fine, true) => {
                let telling = self.telling().resolved(now);
                (Change::Resolved, Self { resolved_at: Some(now), ..self }.with(telling))
            }
            _ => (Change::Nothing, self),
        }
    }
}

/// A notice that is due, leased.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Due {
    pub(super) alarm: String,
    pub(super) raised_at: OffsetDateTime,
    pub(super) resolved_at: Option<OffsetDateTime>,
    pub(super) text: String,
    pub(super) failures: i32,
}

/// Takes the next notice that is due, for half a minute: of several workers one tells it. One
/// that is killed in between leaves it to the others, who may tell it once more.
pub(super) async fn lease(pool: &PgPool) -> sqlx::Result<Option<Due>> {
    sqlx::query_as(
        "UPDATE alarms SET told = true, next_tell_at = now() + make_interval(secs => $1)
         WHERE alarm = (SELECT alarm FROM alarms WHERE next_tell_at <= now() AND raised_at IS NOT NULL
                        ORDER BY next_tell_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING alarm, raised_at, resolved_at, text, failures",
    )
    .bind(LEASE_SECONDS)
    .fetch_optional(pool)
    .await
}

/// Writes down how telling it went, unless the alarm has become another in the meantime: that is
/// told by itself.
pub(super) async fn told(pool: &PgPool, due: &Due, telling: Telling) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alarms SET next_tell_at = $4, failures = $5
         WHERE alarm = $1 AND raised_at = $2 AND resolved_at IS NOT DISTINCT FROM $3",
    )
    .bind(&due.alarm)
    .bind(due.raised_at)
    .bind(due.resolved_at)
    .bind(telling.due)
    .bind(i32::try_from(telling.failures).unwrap_or(i32::MAX))
    .execute(pool)
    .await?;
    Ok(())
}

/// The names of those that are raised.
pub(super) async fn raised(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT alarm FROM alarms WHERE raised_at IS NOT NULL AND resolved_at IS NULL")
        .fetch_all(pool)
        .await
}
