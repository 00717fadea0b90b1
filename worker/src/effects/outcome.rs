//! What an answer of Kapso's means for an effect: one table, to be held against Kapso's
//! documentation ("Errors" and "Rate limits") and Meta's ("Error codes"). Pure.

use std::time::Duration;

use super::EffectKind;
use crate::kapso::{Answer, Reply};

/// What becomes of an effect after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done. For a text: the names of the message that it became.
    Done(Vec<String>),
    /// It certainly did not happen: again, after this long.
    Again(Duration, String),
    /// It certainly did not happen, and never will.
    Discarded(String),
    /// Nobody knows whether it happened: it is not repeated.
    Unknown(String),
}

impl Outcome {
    /// As figures name it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Again(..) => "again",
            Self::Discarded(_) => "discarded",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// The first pause after a failure; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after 429 without `Retry-After`: Kapso counts by the minute.
const RATE_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a refused token: somebody has to change it.
const TOKEN_PAUSE: Duration = Duration::from_secs(60);

/// Judges an answer. `jitter` is between 0 and 1: the pauses are spread by it.
pub(super) fn judge(kind: EffectKind, attempt: i32, answer: &Answer, jitter: f64) -> Outcome {
    let reply = match answer {
        Answer::NotSent(why) => return Outcome::Again(backoff(attempt, jitter), why.clone()),
        Answer::Lost(why) => return Outcome::Unknown(why.clone()),
        Answer::Reply(reply) => reply,
    };
    let why = reply.summary();
    match reply.status {
        200..=299 if kind == EffectKind::SendText => Outcome::Done(reply.message_names()),
        200..=299 => Outcome::Done(Vec::new()),
        429 => Outcome::Again(reply.retry_after.unwrap_or(RATE_PAUSE), why),
        // Another message of the conversation is in flight.
        409 => Outcome::Again(reply.retry_after.unwrap_or_else(|| backoff(attempt, jitter)), why),
        401 => Outcome::Again(TOKEN_PAUSE, why),
        // Kapso's own error body says that Kapso refused; a proxy's page says nothing.
        500 | 503 if reply.is_kapsos_error() => {
            Outcome::Again(reply.retry_after.unwrap_or_else(|| backoff(attempt, jitter)), why)
        }
        400..=499 => refused(reply, attempt, jitter, why),
        _ => Outcome::Unknown(why),
    }
}

/// A refusal that names a code of Meta's is judged by it.
fn refused(reply: &Reply, attempt: i32, jitter: f64, why: String) -> Outcome {
    match reply.meta_code() {
        // Rate limits and trouble on Meta's side, said to be passing.
        Some(1 | 2 | 4 | 80007 | 130_429 | 131_000 | 131_016 | 131_056 | 131_057 | 133_004 | 133_005) => {
            Outcome::Again(reply.retry_after.unwrap_or_else(|| backoff(attempt, jitter)), why)
        }
        Some(0 | 190) => Outcome::Again(TOKEN_PAUSE, why),
        _ => Outcome::Discarded(why),
    }
}

/// Exponential, with full jitter, so that many effects do not come back in step.
fn backoff(attempt: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Answer {
        Answer::Reply(Reply { status, retry_after: None, body: body.to_owned() })
    }

    fn judged(answer: &Answer) -> Outcome {
        judge(EffectKind::SendText, 1, answer, 1.0)
    }

    #[test]
    fn success_names_the_message() {
        let body = r#"{"data":{"id":"uuid-1","whatsapp_message_id":"wamid.X"}}"#;
        assert_eq!(judged(&reply(201, body)), Outcome::Done(vec!["wamid.X".into(), "uuid-1".into()]));
        let body = r#"{"data":{"id":"uuid-1","whatsapp_message_id":null}}"#;
        assert_eq!(judged(&reply(201, body)), Outcome::Done(vec!["uuid-1".into()]));
        assert_eq!(judged(&reply(200, "")), Outcome::Done(vec![]));
    }

    #[test]
    fn what_did_certainly_not_happen_is_tried_again() {
        for answer in [
            Answer::NotSent("refused".into()),
            reply(409, r#"{"error":"Another message in-flight for this conversation. Retry shortly."}"#),
            reply(429, r#"{"error":"Rate limit exceeded"}"#),
            reply(401, r#"{"error":"Invalid or missing API key"}"#),
            reply(500, r#"{"error":"Internal server error"}"#),
            reply(503, r#"{"error":"Service unavailable"}"#),
            reply(400, r#"{"error":{"message":"busy","code":131000}}"#),
        ] {
            assert!(matches!(judged(&answer), Outcome::Again(..)), "{answer:?}");
        }
    }

    #[test]
    fn what_can_not_be_known_is_never_repeated() {
        for answer in [
            Answer::Lost("time-out".into()),
            reply(500, "<html>"),
            reply(502, r#"{"error":"Bad gateway"}"#),
            reply(503, "<html>"),
            reply(504, ""),
            reply(302, ""),
        ] {
            assert!(matches!(judged(&answer), Outcome::Unknown(_)), "{answer:?}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_discarded_with_the_reason() {
        let window = r#"{"error":"Cannot send non-template messages outside the 24-hour window."}"#;
        assert_eq!(
            judged(&reply(422, window)),
            Outcome::Discarded(
                "HTTP 422: Cannot send non-template messages outside the 24-hour window.".into()
            )
        );
        let code = r#"{"error":{"message":"Re-engagement message","code":131047}}"#;
        assert_eq!(
            judged(&reply(400, code)),
            Outcome::Discarded("HTTP 400: Re-engagement message (131047)".into())
        );
        assert!(matches!(judged(&reply(404, "")), Outcome::Discarded(_)));
    }

    #[test]
    fn pauses_grow_to_their_limit_and_no_further() {
        let pause = |attempt| backoff(attempt, 1.0).as_secs();
        assert_eq!([1, 2, 3, 7, 100].map(pause), [1, 2, 4, 60, 60]);
        assert_eq!(backoff(5, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_server_may_say_when() {
        let retry_after = Some(Duration::from_secs(7));
        let answer = Answer::Reply(Reply { status: 429, retry_after, body: String::new() });
        assert!(matches!(judged(&answer), Outcome::Again(pause, _) if pause.as_secs() == 7));
    }
}
