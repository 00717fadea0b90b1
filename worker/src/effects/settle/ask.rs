//! Asking Kapso for one page of a listing: within the key's limit, and not while it is held.

use std::time::Duration;

use contract::broker::retry_pauses;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    effects::{
        api_key::{self, ApiKey},
        hold::{Allowed, Hold, Key, Standing},
        outcome::retry_after,
        way::Way,
    },
    kapso::{
        Answer, Client,
        listing::{Asked, Page, is_asked_again},
    },
    outage::in_time,
};

/// How long one who asks is taken to be asking: longer than a page may take.
pub(super) const LEASE_SECONDS: f64 = 60.0;

/// Of the calls that the key has in a minute, listings take a quarter at the most: replies
/// that nobody doubts go first.
const SHARE: i64 = 4;

/// How often a page that fails is asked for again. A busy number has hundreds: if the whole listing failed with one
/// of them, it would never come to its end.
const AGAIN: usize = 6;

/// How often it is looked whether a call is left. Less than the lease.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It is no time to ask: the key is held, or its limit is reached.
    #[error("the key is held, or has no call left")]
    NotNow,
    /// Somebody else asks by now.
    #[error("it took too long, and another worker asks")]
    Lost,
    /// The worker stops.
    #[error("the worker stops")]
    Stopped,
    /// Kapso did not give it: nothing is proved.
    #[error("{0}")]
    Failed(String),
    /// Postgres refused or went away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A page that Kapso did not give, once.
struct NotGiven {
    why: String,
    /// Whether it may give it if it is asked again.
    again: bool,
}

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) client: &'a Client,
    pub(super) key: &'a ApiKey,
    /// Unlike any other's: what is asked about is under it (`effect_doubts.asked_by`).
    pub(super) token: &'a str,
    pub(super) stop: &'a CancellationToken,
}

impl Asker<'_> {
    /// One page of what is listed of `of`. Where that may help it is asked for again, for seconds. Once the listing
    /// has begun it is also waited for, until `begun_until`, while it is no time to ask.
    ///
    /// # Errors
    /// [`AskError`].
    pub(super) async fn page(
        &self,
        of: &str,
        asked: &Asked<'_>,
        begun_until: Option<Instant>,
    ) -> Result<Page, AskError> {
        let mut pauses = retry_pauses().take(AGAIN);
        loop {
            let pause = match self.ask(of, asked).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(NotGiven { why, again })) => {
                    pauses.next().filter(|_| again).ok_or(AskError::Failed(why))?
                }
                Err(AskError::NotNow) if begun_until.is_some_and(|until| Instant::now() < until) => {
                    LOOK_EVERY
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(AskError::Stopped),
                () = sleep(pause) => {}
            }
        }
    }

    async fn ask(&self, of: &str, asked: &Asked<'_>) -> Result<Result<Page, NotGiven>, AskError> {
        let question = in_time(self.allowed(of)).await?;
        let answer = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(AskError::Stopped),
            answer = self.client.list(asked) => answer,
        };
        let (page, outcome) = read(asked, &answer);
        in_time(self.note(question, &answer, &outcome)).await?;
        Ok(page.map_err(|again| NotGiven { why: outcome, again }))
    }

    /// Commits that a question leaves, if one may; its row.
    async fn allowed(&self, of: &str) -> Result<i64, AskError> {
        let mut tx = self.pool.begin().await?;
        let key = api_key::lock(&mut tx, &self.key.id).await?;
        let (now, calls) = api_key::calls_lately(&mut tx).await?;
        let listings = listings_lately(&mut tx).await?;
        let ours = sqlx::query(
            "UPDATE effect_doubts SET asked_until = now() + make_interval(secs => $2) WHERE asked_by = $1",
        )
        .bind(self.token)
        .bind(LEASE_SECONDS)
        .execute(&mut *tx)
        .await?;
        if ours.rows_affected() == 0 {
            return Err(AskError::Lost);
        }
        let held = key.allowed(now) == Allowed::Nothing;
        if held || !may_ask(&key, calls, listings, i64::from(self.key.calls_a_minute.get())) {
            // Whoever waits keeps what it asks about.
            tx.commit().await?;
            return Err(AskError::NotNow);
        }
        let question = sqlx::query_scalar("INSERT INTO effect_listings (asked_of) VALUES ($1) RETURNING id")
            .bind(of)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(question)
    }

    /// Writes down what came of a question, and what it says of the key. A listing that works or
    /// fails says nothing of sending.
    async fn note(&self, question: i64, answer: &Answer, outcome: &str) -> Result<(), AskError> {
        let mut tx = self.pool.begin().await?;
        let change = match standing(answer) {
            Standing::Untold => None,
            standing => api_key::note(&mut tx, &self.key.id, &[(standing, self.token)]).await?,
        };
        sqlx::query(
            "UPDATE effect_listings SET finished_at = now(), http_status = $2, outcome = $3 WHERE id = $1",
        )
        .bind(question)
        .bind(answer.status().map(i32::from))
        .bind(outcome)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if let Some((before, after)) = change {
            api_key::tell(Way::Own, &before, &after);
        }
        Ok(())
    }
}

async fn listings_lately(tx: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM effect_listings WHERE asked_at > statement_timestamp() - interval '61 seconds'",
    )
    .fetch_one(tx)
    .await
}

/// Whether a listing may be asked for. With a token that is refused nothing is answered; while
/// calls fail, it is asked for where a probe would be, in its pace: it changes nothing at Kapso.
fn may_ask(key: &Key, calls: i64, listings: i64, limit: i64) -> bool {
    let refused = key.hold.is_some_and(|(hold, _)| hold == Hold::TokenRefused);
    !refused && calls < limit && listings < (limit / SHARE).max(1)
}

/// What an answer says of the key.
fn standing(answer: &Answer) -> Standing {
    match answer {
        Answer::Response(response) if response.status == 429 => Standing::Limited(retry_after(response)),
        Answer::Response(response) if response.status == 401 => Standing::Refused,
        _ => Standing::Untold,
    }
}

/// The page that an answer is, else whether it may be one if it is asked for again; and what is written down of it.
fn read(asked: &Asked<'_>, answer: &Answer) -> (Result<Page, bool>, String) {
    match answer {
        Answer::NotAsked(why) => (Err(false), why.clone()),
        Answer::NotSent(why) | Answer::Lost(why) => (Err(true), why.clone()),
        Answer::Response(response) if (200..300).contains(&response.status) => match asked.read(response) {
            Some(page) => {
                let items = page.items.len();
                (Ok(page), format!("{items} items"))
            }
            None => (Err(true), "the answer is no page of a listing".to_owned()),
        },
        // A number or a conversation that is not there proves nothing of what was in it.
        Answer::Response(response) => (Err(is_asked_again(response.status)), response.summary()),
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::kapso::Response;

    #[test]
    fn a_quarter_of_the_calls_may_be_listings() {
        let key = Key::default();
        assert!(may_ask(&key, 79, 19, 80));
        assert!(!may_ask(&key, 80, 0, 80));
        assert!(!may_ask(&key, 20, 20, 80));
        assert!(may_ask(&key, 0, 0, 1), "the smallest limit still lets one through");
        let held = |hold| Key { hold: Some((hold, OffsetDateTime::UNIX_EPOCH)), ..Key::default() };
        assert!(may_ask(&held(Hold::Failing), 0, 0, 80));
        assert!(!may_ask(&held(Hold::TokenRefused), 0, 0, 80));
    }

    #[test]
    fn only_a_whole_page_proves_anything() {
        let read = |status, body: &str| {
            let answer = Answer::Response(Response { status, retry_after: None, body: body.to_owned() });
            read(&Asked::MessagesOf("c", 1), &answer).0
        };
        assert!(read(200, r#"{"data":[]}"#).is_ok());
        for (status, body, again) in [
            (200, "", true),
            (200, "<html>", true),
            (200, r#"{"data":{}}"#, true),
            (401, r#"{"data":[]}"#, false),
            (404, r#"{"data":[]}"#, false),
            (429, r#"{"data":[]}"#, true),
            (503, r#"{"data":[]}"#, true),
        ] {
            assert_eq!(read(status, body).err(), Some(again), "{status} {body}");
        }
    }
}
