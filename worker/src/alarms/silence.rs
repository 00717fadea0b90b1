//! Silence that is unusual: nothing came since the last webhook, and in the same stretch of the
//! week something always did.
//!
//! The stretch from the last webhook until half an hour ago is laid over each of the last four
//! weeks that the archive reaches back to, two at the least. If every one of them had five
//! webhooks or more in it, silence is an alarm. At night, on a closed day and in a small shop
//! the weeks before were as silent, and it is none; the longer it lasts, the more the weeks
//! before had, so that a shop with a few messages a day is missed after a day. What `worker
//! doctor` sends and what Kapso's listings told did not come from Kapso's webhooks.

use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::Verdict;
use crate::tools::doctor::TEST_KIND;

/// What came later than that is not missed yet: shops open some minutes earlier or later.
const SLACK: Duration = Duration::minutes(30);

/// How many webhooks a week must have had in the stretch.
const ENOUGH: i64 = 5;

/// How many weeks there must be.
const WEEKS: usize = 2;

/// Looks at the archive.
pub(super) async fn look(pool: &PgPool) -> sqlx::Result<Verdict> {
    // After a week of silence the stretch would cover itself: what it was by then, it stays.
    let last: Option<(OffsetDateTime, OffsetDateTime)> = sqlx::query_as(
        "SELECT received_at, now() FROM webhooks
         WHERE received_at > now() - interval '7 days' AND kind <> $1 AND verified_by <> 'kapso-api'
         ORDER BY received_at DESC LIMIT 1",
    )
    .bind(TEST_KIND)
    .fetch_optional(pool)
    .await?;
    let Some((last, now)) = last else { return Ok(Verdict::Unknown) };
    if now - last < SLACK {
        return Ok(Verdict::Fine);
    }
    let weeks: Vec<i64> = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM (SELECT FROM webhooks
                    WHERE received_at > $1 - week AND received_at <= $2 - make_interval(secs => $3) - week
                      AND kind <> $5 AND verified_by <> 'kapso-api' LIMIT $4) AS found)
         FROM (SELECT make_interval(weeks => ago) AS week FROM generate_series(1, 4) AS weeks (ago)) AS weeks
         WHERE $1 - week >= (SELECT min(received_at) FROM webhooks)",
    )
    .bind(last)
    .bind(now)
    .bind(SLACK.as_seconds_f64())
    .bind(ENOUGH)
    .bind(TEST_KIND)
    .fetch_all(pool)
    .await?;
    Ok(judge(now - last, &weeks))
}

/// What `weeks`, as many webhooks as each had in the stretch, say of a silence this long.
fn judge(silent: Duration, weeks: &[i64]) -> Verdict {
    let is_unusual =
        silent >= SLACK && weeks.len() >= WEEKS && weeks.iter().all(|webhooks| *webhooks >= ENOUGH);
    Verdict::of(is_unusual.then(|| {
        format!(
            "nothing came from Kapso for {} h {} min, and in this stretch of the week something always did: \
             worker webhook status, and see whether Kapso reaches ingest",
            silent.whole_hours(),
            silent.whole_minutes() % 60
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cries(hours: i64, weeks: &[i64]) -> bool {
        matches!(judge(Duration::hours(hours), weeks), Verdict::Raised(_))
    }

    #[test]
    fn only_where_every_week_before_had_some() {
        assert!(cries(2, &[5, 5]));
        assert!(cries(2, &[5, 5, 5, 5]));
        // A night, a shop with a slow week, an archive that is young.
        assert!(!cries(10, &[0, 0, 0, 0]));
        assert!(!cries(2, &[5, 5, 4, 5]));
        assert!(!cries(2, &[5]));
        assert!(!cries(2, &[]));
        assert!(!cries(0, &[5, 5]));
    }
}
