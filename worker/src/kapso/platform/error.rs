//! What can come of a call of the platform API, and what to do about it.

use std::time::Duration;

use serde_json::Value;

use crate::kapso::Answer;

/// Why Kapso did not do what it was asked for. The text names the remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// 401 or 403.
    #[error(
        "Kapso refuses the token ({0}): set KAPSO_API_TOKEN to an API key of the project that the number belongs to"
    )]
    TokenRefused(String),
    /// 402: somebody has to pay first.
    #[error(
        "Kapso does not {what} before somebody pays ({why}): add credits, or another plan, in Kapso under Billing"
    )]
    Unpaid {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// 404: no such thing, or none that this token sees.
    #[error(
        "Kapso could not {what}, it knows no such thing ({why}): is KAPSO_PHONE_NUMBER_ID the number's id at Meta, \
         the token one of its project, and KAPSO_PLATFORM_URL right?"
    )]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// 400 or 422: it does not like what it was given.
    #[error("Kapso refuses to {what}: {why}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// 429.
    #[error("Kapso's limit of calls is reached: try again in {} s", .0.as_secs())]
    Limited(Duration),
    /// No answer, or a server's error. Asking again may help.
    #[error("Kapso could not {what} ({why}): try again, and look whether KAPSO_PLATFORM_URL can be reached")]
    Away {
        /// What was asked for.
        what: &'static str,
        /// What happened instead.
        why: String,
    },
    /// Success, with a body that is none of the shapes that are documented.
    #[error(
        "Kapso was asked to {0}, and its answer is of no shape that is known: is KAPSO_PLATFORM_URL right?"
    )]
    Unreadable(&'static str),
    /// Page after page.
    #[error("Kapso was asked to {0}, and its pages do not end")]
    Endless(&'static str),
}

/// What Kapso's fixed window of a minute asks for, where a 429 does not say.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What an answer is: a success's body (null where there is none), or why it is none.
pub(super) fn judge(what: &'static str, answer: Answer) -> Result<Value, PlatformError> {
    let response = match answer {
        Answer::NotAsked(why) | Answer::NotSent(why) | Answer::Lost(why) => {
            return Err(PlatformError::Away { what, why });
        }
        Answer::Response(response) => response,
    };
    let why = response.summary();
    match response.status {
        200..300 if response.body.trim().is_empty() => Ok(Value::Null),
        200..300 => serde_json::from_str(&response.body).map_err(|_| PlatformError::Unreadable(what)),
        401 | 403 => Err(PlatformError::TokenRefused(why)),
        402 => Err(PlatformError::Unpaid { what, why }),
        404 => Err(PlatformError::NotFound { what, why }),
        429 => Err(PlatformError::Limited(response.retry_after.unwrap_or(RATE_WINDOW))),
        408 | 409 | 425 | 500.. => Err(PlatformError::Away { what, why }),
        _ => Err(PlatformError::Refused { what, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kapso::Response;

    fn judged(status: u16, body: &str) -> Result<Value, PlatformError> {
        judge("x", Answer::Response(Response { status, retry_after: None, body: body.to_owned() }))
    }

    #[test]
    fn answers_are_told_apart() {
        let said = |why: &str| why.to_owned();
        assert_eq!(judged(200, r#"{"data":[]}"#), Ok(serde_json::json!({ "data": [] })));
        assert_eq!(judged(204, ""), Ok(Value::Null));
        assert_eq!(judged(200, "<html>"), Err(PlatformError::Unreadable("x")));
        assert_eq!(
            judged(401, r#"{"error":"Invalid or missing API key"}"#).map_err(|error| error.to_string()),
            Err(said(
                "Kapso refuses the token (HTTP 401: Invalid or missing API key): set KAPSO_API_TOKEN to an API key of the project that the number belongs to"
            ))
        );
        assert_eq!(
            judged(402, r#"{"error":"Insufficient credits","code":"insufficient_credits"}"#),
            Err(PlatformError::Unpaid {
                what: "x",
                why: said("HTTP 402: Insufficient credits (insufficient_credits)")
            })
        );
        assert_eq!(judged(404, ""), Err(PlatformError::NotFound { what: "x", why: said("HTTP 404") }));
        assert_eq!(
            judged(422, r#"{"error":"Events contains unsupported events: \"x\""}"#),
            Err(PlatformError::Refused {
                what: "x",
                why: said("HTTP 422: Events contains unsupported events: \"x\"")
            })
        );
        assert_eq!(judged(429, ""), Err(PlatformError::Limited(RATE_WINDOW)));
        assert_eq!(judged(302, ""), Err(PlatformError::Refused { what: "x", why: said("HTTP 302") }));
        assert!(matches!(judged(503, "<html>"), Err(PlatformError::Away { .. })));
        assert!(matches!(judge("x", Answer::Lost(said("cut"))), Err(PlatformError::Away { .. })));
    }
}
