//! The table `gap_checks`: what was checked, what came of it, and where to go on.

use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::{GapError, Report, Window};

/// How far back the first check looks, but not to a time before Buzón was there.
const FIRST: Duration = Duration::hours(24);

/// A check begins this long before the last one ended: what was written by then may have been
/// listed only later.
const SLACK: Duration = Duration::minutes(10);

/// The youngest messages are left out: their webhooks may still be on their way. Kapso tries
/// for 140 s.
const GRACE: Duration = Duration::minutes(3);

/// However long there was no check, no further back than that.
const LONGEST: Duration = Duration::days(7);

/// What is known of the checks before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// When the last one began, however it ended.
    pub(super) last_began: Option<OffsetDateTime>,
    /// Until when the last good one compared.
    pub(super) compared_until: Option<OffsetDateTime>,
    /// The oldest message that it found missing and did not store.
    pub(super) open_since: Option<OffsetDateTime>,
    /// When the database was made ours.
    pub(super) installed_at: Option<OffsetDateTime>,
}

impl Past {
    /// What is to be compared now: what came since, and again what was found and not stored,
    /// so that a gap is reported for as long as it is there. None: it is too early.
    pub(super) fn next(self, now: OffsetDateTime) -> Option<Window> {
        let until = now - GRACE;
        let since = match (self.compared_until, self.open_since) {
            (Some(compared), Some(open)) => (compared - SLACK).min(open),
            (Some(compared), None) => compared - SLACK,
            (None, _) => self.installed_at.unwrap_or(now - FIRST).max(now - FIRST),
        };
        let since = since.max(now - LONGEST);
        (since < until).then_some(Window { since, until })
    }
}

/// Reads what is known of the checks before.
pub(super) async fn past(pool: &PgPool) -> sqlx::Result<Past> {
    let last_began = sqlx::query_scalar("SELECT max(started_at) FROM gap_checks").fetch_one(pool).await?;
    let good: Option<(OffsetDateTime, Option<OffsetDateTime>)> = sqlx::query_as(
        "SELECT until, CASE WHEN stored < missing THEN oldest_missing END FROM gap_checks
         WHERE error IS NULL ORDER BY started_at DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    let installed_at =
        sqlx::query_scalar("SELECT min(installed_on) FROM _sqlx_migrations").fetch_one(pool).await?;
    let (compared_until, open_since) = good.map_or((None, None), |(until, open)| (Some(until), open));
    Ok(Past { last_began, compared_until, open_since, installed_at })
}

/// Writes down what came of one.
pub(super) async fn add(
    pool: &PgPool,
    began: OffsetDateTime,
    window: Window,
    report: &Report,
    error: Option<&GapError>,
) -> sqlx::Result<()> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO gap_checks (started_at, since, until, requests, listed, missing, behind, stored, skipped,
                                 oldest_missing, newest_missing, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(began)
    .bind(window.since)
    .bind(window.until)
    .bind(count(report.requests))
    .bind(count(report.listed))
    .bind(count(report.missing))
    .bind(count(report.behind))
    .bind(count(report.stored))
    .bind(count(report.left_alone()))
    .bind(report.oldest)
    .bind(report.newest)
    .bind(error.map(ToString::to_string))
    .execute(pool)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-24 17:00 UTC);

    fn since(compared: Option<Duration>, open: Option<Duration>) -> Option<Duration> {
        let ago = |ago: Option<Duration>| ago.map(|ago| NOW - ago);
        let past = Past { compared_until: ago(compared), open_since: ago(open), ..Past::default() };
        past.next(NOW).map(|window| NOW - window.since)
    }

    #[test]
    fn it_goes_on_where_the_last_one_ended() {
        let hours = |hours| Some(Duration::hours(hours));
        assert_eq!(since(None, None), hours(24));
        assert_eq!(since(hours(1), None), Some(Duration::minutes(70)));
        assert_eq!(since(hours(1), hours(5)), hours(5));
        assert_eq!(since(hours(24 * 30), None), hours(24 * 7));
        assert_eq!(since(hours(1), hours(24 * 30)), hours(24 * 7));
        assert_eq!(since(hours(-1), None), None);
    }

    #[test]
    fn what_was_before_us_did_not_have_to_reach_us() {
        let since = |ago| {
            let past = Past { installed_at: Some(NOW - ago), ..Past::default() };
            past.next(NOW).map(|window| NOW - window.since)
        };
        assert_eq!(since(Duration::days(2)), Some(Duration::hours(24)));
        assert_eq!(since(Duration::hours(2)), Some(Duration::hours(2)));
        assert_eq!(since(Duration::minutes(1)), None);
    }

    #[test]
    fn the_youngest_are_left_to_their_webhooks() {
        assert_eq!(Past::default().next(NOW).map(|window| window.until), Some(NOW - GRACE));
    }
}
