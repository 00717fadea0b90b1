//! What an answer of Kapso's means for an effect: one table, to be held against Kapso's
//! documentation ("Errors" and "Rate limits") and Meta's ("Error codes"). Pure.

use std::time::Duration;

use super::{EffectKind, hold::Standing};
use crate::kapso::{Answer, Response};

/// What becomes of an effect after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done.
    Done(Sent),
    /// It certainly did not happen: again, after this long.
    Again(Duration, String),
    /// It certainly did not happen, and never will.
    Discarded(String),
    /// Nobody knows whether it happened: it is not repeated.
    Unknown(String),
}

/// The message that a text became; of a mark nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Its names, WhatsApp's first.
    pub(super) names: Vec<String>,
    /// Meta has taken it, and does not deliver it before it has checked its quality.
    pub(super) is_held: bool,
}

/// What the outbox says of a message that Meta holds.
pub(super) const HELD: &str = "done; Meta holds it for a quality check before it delivers it";

impl Sent {
    /// As the outbox tells it.
    pub(super) const fn told(&self) -> &'static str {
        if self.is_held { HELD } else { "done" }
    }
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
/// The pause where a person has to do something first: change the token, or pay.
const PERSON_PAUSE: Duration = Duration::from_secs(60);
/// No `Retry-After` is believed beyond this: a wrong one must not silence everything for good.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// Judges an answer: what becomes of the effect, and what it says of the key that all calls
/// share. `jitter` is between 0 and 1: the pauses are spread by it.
pub(super) fn judge(kind: EffectKind, attempt: i32, answer: &Answer, jitter: f64) -> (Outcome, Standing) {
    use Outcome::{Again, Discarded, Done, Unknown};
    let pause = backoff(attempt, jitter);
    let response = match answer {
        Answer::NotAsked(why) => return (Again(pause, why.clone()), Standing::Untold),
        Answer::NotSent(why) => return (Again(pause, why.clone()), Standing::Failed),
        // Slow conversations must not hold up the others: the key stays as it is.
        Answer::Lost(why) => return (Unknown(why.clone()), Standing::Untold),
        Answer::Response(response) => response,
    };
    let why = response.summary();
    let told = response.retry_after.map(|told| told.min(LONGEST_RETRY_AFTER));
    let pause = told.unwrap_or(pause);
    match (response.status, response.meta_code()) {
        (200..=299, _) => (Done(sent(kind, response)), Standing::Performed(kind)),
        // Before all codes: whatever its body says, somebody has to pay.
        (402, _) => (Again(PERSON_PAUSE, why), Standing::Unpaid(kind)),
        (429, _) => {
            let pause = told.unwrap_or(RATE_PAUSE);
            (Again(pause, why), Standing::Limited(pause))
        }
        // Another message of the conversation is in flight: the lane's own matter.
        (409, _) => (Again(pause, why), Standing::Works),
        (401, _) | (400..=499, Some(0 | 190)) => (Again(PERSON_PAUSE, why), Standing::Refused),
        // Kapso's own error body says that Kapso refused; a proxy's page says nothing.
        (500 | 503, _) if response.is_kapsos_error() => (Again(pause, why), Standing::Failed),
        (500..=599, _) => (Unknown(why), Standing::Failed),
        // Another address, and nothing was done at this one. Source: RFC 9110, 15.4. (302 and 303 may come after the deed.)
        (301 | 307 | 308, _) => (Again(pause, why), Standing::Failed),
        // Something on the way was tired of waiting for our request, and may have passed it on.
        (408, _) => (Unknown(why), Standing::Untold),
        // Meta's limits on the app, the account and the number: all calls share them.
        (400..=499, Some(4 | 80007 | 130_429)) => {
            let pause = told.unwrap_or_else(|| backoff(attempt, 1.0));
            (Again(pause, why), Standing::Limited(pause))
        }
        // Its limit on one contact, and trouble on Meta's side that is said to be passing.
        (400..=499, Some(1 | 2 | 131_000 | 131_016 | 131_056 | 131_057 | 133_004 | 133_005)) => {
            (Again(pause, why), Standing::Works)
        }
        (400..=499, _) if response.is_kapsos_error() => (Discarded(why), Standing::Works),
        (400..=499, _) => (Discarded(why), Standing::Untold),
        _ => (Unknown(why), Standing::Untold),
    }
}

fn sent(kind: EffectKind, response: &Response) -> Sent {
    match kind {
        EffectKind::SendText => {
            Sent { names: response.message_names(), is_held: response.is_held_for_quality() }
        }
        EffectKind::MarkRead => Sent::default(),
    }
}

/// How long a 429 asks all who share the key to wait.
pub(super) fn retry_after(response: &Response) -> Duration {
    response.retry_after.map_or(RATE_PAUSE, |told| told.min(LONGEST_RETRY_AFTER))
}

/// Exponential, with full jitter, so that many effects do not come back in step.
fn backoff(attempt: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Answer {
        Answer::Response(Response { status, retry_after: None, body: body.to_owned() })
    }

    fn judged(answer: &Answer) -> Outcome {
        judge(EffectKind::SendText, 1, answer, 1.0).0
    }

    #[test]
    fn success_names_the_message() {
        let body = r#"{"data":{"id":"uuid-1","whatsapp_message_id":"wamid.X"}}"#;
        assert_eq!(judged(&response(201, body)), done(&["wamid.X", "uuid-1"]));
        let body = r#"{"data":{"id":"uuid-1","whatsapp_message_id":null}}"#;
        assert_eq!(judged(&response(201, body)), done(&["uuid-1"]));
        assert_eq!(judged(&response(200, "")), done(&[]));
        let body = r#"{"messages":[{"id":"wamid.X","message_status":"accepted"}]}"#;
        assert_eq!(judged(&response(200, body)), done(&["wamid.X"]));
    }

    #[test]
    fn a_message_that_meta_holds_is_done_and_says_so() {
        let body = r#"{"contacts":[{"input":"569","wa_id":null,"user_id":"BR.1"}],
                       "messages":[{"id":"wamid.X","message_status":"held_for_quality_assessment"}]}"#;
        let held = Sent { names: vec!["wamid.X".to_owned()], is_held: true };
        assert!(held.told().contains("quality check"), "{}", held.told());
        assert_eq!(judged(&response(200, body)), Outcome::Done(held));
    }

    fn done(names: &[&str]) -> Outcome {
        Outcome::Done(Sent { names: names.iter().map(|&name| name.to_owned()).collect(), is_held: false })
    }

    #[test]
    fn what_did_certainly_not_happen_is_tried_again() {
        for answer in [
            Answer::NotSent("refused".into()),
            response(409, r#"{"error":"Another message in-flight for this conversation. Retry shortly."}"#),
            response(429, r#"{"error":"Rate limit exceeded"}"#),
            response(401, r#"{"error":"Invalid or missing API key"}"#),
            response(402, r#"{"error":"Insufficient credits","code":"insufficient_credits"}"#),
            response(402, "<html>"),
            response(402, r#"{"error":{"message":"x","code":131047}}"#),
            response(500, r#"{"error":"Internal server error"}"#),
            response(503, r#"{"error":"Service unavailable"}"#),
            response(301, ""),
            response(308, ""),
            response(400, r#"{"error":{"message":"busy","code":131000}}"#),
        ] {
            assert!(matches!(judged(&answer), Outcome::Again(..)), "{answer:?}");
        }
    }

    #[test]
    fn what_can_not_be_known_is_never_repeated() {
        for answer in [
            Answer::Lost("time-out".into()),
            response(500, "<html>"),
            response(502, r#"{"error":"Bad gateway"}"#),
            response(503, "<html>"),
            response(504, ""),
            response(408, ""),
            response(302, ""),
            response(303, ""),
        ] {
            assert!(matches!(judged(&answer), Outcome::Unknown(_)), "{answer:?}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_discarded_with_the_reason() {
        let window = r#"{"error":"Cannot send non-template messages outside the 24-hour window."}"#;
        assert_eq!(
            judged(&response(422, window)),
            Outcome::Discarded(
                "HTTP 422: Cannot send non-template messages outside the 24-hour window.".into()
            )
        );
        let code = r#"{"error":{"message":"Re-engagement message","code":131047}}"#;
        assert_eq!(
            judged(&response(400, code)),
            Outcome::Discarded("HTTP 400: Re-engagement message (131047)".into())
        );
        assert!(matches!(judged(&response(404, "")), Outcome::Discarded(_)));
        for (status, body, reason) in [
            (
                422,
                r#"{"error":"Contact stopped marketing messages on this WhatsApp number","code":"marketing_preference_stopped"}"#,
                "HTTP 422: Contact stopped marketing messages on this WhatsApp number (marketing_preference_stopped)",
            ),
            (
                422,
                r#"{"error":"Messaging account does not match","code":"messaging_account_mismatch"}"#,
                "HTTP 422: Messaging account does not match (messaging_account_mismatch)",
            ),
            (
                422,
                r#"{"error":{"message":"Re-engagement message","type":"MessageError","code":131047,"error_subcode":131047,"fbtrace_id":"x"}}"#,
                "HTTP 422: Re-engagement message (131047)",
            ),
            (
                403,
                r#"{"error":"Active sandbox session required to send messages"}"#,
                "HTTP 403: Active sandbox session required to send messages",
            ),
        ] {
            let judged = judge(EffectKind::SendText, 1, &response(status, body), 1.0);
            assert_eq!(judged, (Outcome::Discarded(reason.into()), Standing::Works));
        }
    }

    #[test]
    fn pauses_grow_to_their_limit_and_no_further() {
        let pause = |attempt| backoff(attempt, 1.0).as_secs();
        assert_eq!([1, 2, 3, 7, 100].map(pause), [1, 2, 4, 60, 60]);
        assert_eq!(backoff(5, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_server_may_say_when_within_reason() {
        let told = |status, seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let body = r#"{"error":"…"}"#.to_owned();
            judge(EffectKind::SendText, 1, &Answer::Response(Response { status, retry_after, body }), 1.0)
        };
        for status in [409, 429, 500, 503] {
            assert!(
                matches!(told(status, 7).0, Outcome::Again(pause, _) if pause.as_secs() == 7),
                "{status}"
            );
            assert!(matches!(told(status, u64::MAX).0, Outcome::Again(pause, _) if pause.as_secs() == 900));
        }
        assert_eq!(told(429, 7).1, Standing::Limited(Duration::from_secs(7)));
        assert_eq!(told(429, u64::MAX).1, Standing::Limited(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn what_an_answer_says_of_the_key() {
        let minute = Standing::Limited(Duration::from_secs(60));
        for (answer, standing) in [
            (response(201, "{}"), Standing::Performed(EffectKind::MarkRead)),
            (response(402, r#"{"code":"insufficient_credits"}"#), Standing::Unpaid(EffectKind::MarkRead)),
            (response(402, "<html>"), Standing::Unpaid(EffectKind::MarkRead)),
            (response(409, r#"{"error":"Another message in-flight"}"#), Standing::Works),
            (response(422, r#"{"error":"outside the 24-hour window"}"#), Standing::Works),
            (response(400, r#"{"error":{"code":131056}}"#), Standing::Works),
            (response(429, r#"{"error":"Rate limit exceeded"}"#), minute),
            (response(400, r#"{"error":{"code":130429}}"#), Standing::Limited(FIRST_PAUSE)),
            (response(401, "{}"), Standing::Refused),
            (response(400, r#"{"error":{"code":190}}"#), Standing::Refused),
            (response(500, r#"{"error":"Internal server error"}"#), Standing::Failed),
            (response(502, "<html>"), Standing::Failed),
            (Answer::NotSent("refused".into()), Standing::Failed),
            (Answer::Lost("no answer in time".into()), Standing::Untold),
            (Answer::NotAsked("no text".into()), Standing::Untold),
            (response(403, "<html>"), Standing::Untold),
        ] {
            assert_eq!(judge(EffectKind::MarkRead, 1, &answer, 1.0).1, standing, "{answer:?}");
        }
    }
}
