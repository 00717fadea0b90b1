//! Asking for one page: in our own pace, and again when that may help.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::GapError;
use crate::kapso::{
    Answer, Client, Response,
    listing::{Asked, Page, is_asked_again},
};

/// How often one page is asked for.
const TRIES: u32 = 6;

/// The longest pause after a failure is 2^5 s; six tries last half a minute on average.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What Kapso's fixed window of a minute asks for, where a 429 does not say.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// A pause longer than that is a mistake of somebody's.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Asks Kapso.
pub(super) struct Asker<'a> {
    client: &'a Client,
    /// The time between two questions at the least.
    pace: Duration,
    stop: &'a CancellationToken,
    next_at: Option<Instant>,
    /// How many questions have been asked.
    pub(super) asked: u64,
}

/// What an answer means.
enum Judged {
    Page(Page),
    /// There is no such thing any more.
    Gone,
    Again(Option<Duration>, String),
    Never(GapError),
}

impl<'a> Asker<'a> {
    pub(super) fn new(client: &'a Client, calls_per_minute: u32, stop: &'a CancellationToken) -> Self {
        let pace = Duration::from_secs(60) / calls_per_minute.max(1);
        Self { client, pace, stop, next_at: None, asked: 0 }
    }

    /// The page; none when what it would be of is gone.
    ///
    /// # Errors
    /// When Kapso refuses it, or does not give it for long.
    pub(super) async fn page(&mut self, asked: &Asked<'_>) -> Result<Option<Page>, GapError> {
        let what = asked.what();
        let mut tries = 0;
        loop {
            if let Some(at) = self.next_at {
                self.unless_stopped(sleep_until(at)).await?;
            }
            tries += 1;
            self.asked += 1;
            // A question that is not waited for has changed nothing.
            let answer = self.unless_stopped(self.client.list(asked)).await?;
            self.next_at = Some(Instant::now() + self.pace);
            let (pause, why) = match judge(asked, answer) {
                Judged::Page(page) => return Ok(Some(page)),
                Judged::Gone => return Ok(None),
                Judged::Never(error) => return Err(error),
                Judged::Again(pause, why) => (pause, why),
            };
            if tries == TRIES {
                return Err(GapError::GaveUp { what, tries, why });
            }
            let pause = pause.unwrap_or_else(|| back_off(tries)).min(LONGEST_PAUSE);
            tracing::debug!(what, tries, why, ?pause, "Kapso is asked again");
            self.unless_stopped(sleep(pause)).await?;
        }
    }

    async fn unless_stopped<T>(&self, waited: impl Future<Output = T>) -> Result<T, GapError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(GapError::Stopped),
            done = waited => Ok(done),
        }
    }
}

/// With full jitter, so that nobody meets anybody again.
fn back_off(tries: u32) -> Duration {
    (BACK_OFF * 2_u32.saturating_pow(tries)).mul_f64(rand::rng().random_range(0.0..1.0))
}

fn judge(asked: &Asked<'_>, answer: Answer) -> Judged {
    let response = match answer {
        Answer::NotAsked(why) | Answer::NotSent(why) | Answer::Lost(why) => return Judged::Again(None, why),
        Answer::Response(response) => response,
    };
    let what = asked.what();
    let why = response.summary();
    match response.status {
        200..300 => read(asked, &response),
        401 | 403 => Judged::Never(GapError::TokenRefused(why)),
        404 => Judged::Gone,
        429 => Judged::Again(Some(response.retry_after.unwrap_or(RATE_WINDOW)), why),
        status if is_asked_again(status) => Judged::Again(response.retry_after, why),
        _ => Judged::Never(GapError::Refused { what, why }),
    }
}

fn read(asked: &Asked<'_>, response: &Response) -> Judged {
    // A page cut short, or one of something on the way.
    let not_a_page = || Judged::Again(None, "the answer is no page of a listing".to_owned());
    asked.read(response).map_or_else(not_a_page, Judged::Page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<u64>, body: &str) -> String {
        let response =
            Response { status, retry_after: retry_after.map(Duration::from_secs), body: body.to_owned() };
        match judge(&Asked::Configs(1), Answer::Response(response)) {
            Judged::Page(page) => format!("{} items", page.items.len()),
            Judged::Gone => "gone".to_owned(),
            Judged::Again(pause, _) => format!("again {pause:?}"),
            Judged::Never(error) => error.to_string(),
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let said = r#"{"error":"Invalid or missing API key"}"#;
        let refused =
            "Kapso refuses the token (HTTP 401: Invalid or missing API key): look at KAPSO_API_TOKEN";
        for (status, retry_after, body, expected) in [
            (200, None, r#"{"data":[{}]}"#, "1 items"),
            (200, None, "<html>", "again None"),
            (401, None, said, refused),
            (404, None, "", "gone"),
            (429, Some(7), "", "again Some(7s)"),
            (429, None, "", "again Some(60s)"),
            (503, None, "<html>", "again None"),
            (503, Some(2), "", "again Some(2s)"),
            (400, None, r#"{"error":"limit"}"#, "Kapso refuses to list our numbers: HTTP 400: limit"),
        ] {
            assert_eq!(judged(status, retry_after, body), expected, "{status} {body}");
        }
    }
}
