//! Faults as the control interface takes and shows them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    fault::{Action, Fault, Outcome, Times},
    reply::{Reply, ReplyBody},
    story::MessageError,
};

/// How long a hang or a delay lasts unless it is said: longer than any client is patient.
const LONG: u64 = 60_000;

/// A fault to plan: `{"outcome": "…"}` and what that outcome takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultSpec {
    /// See the crate's README for the names.
    outcome: String,
    /// `send`, `mark`, `list`; any call without it.
    on: Option<Action>,
    /// A conversation id, number or message id.
    about: Option<String>,
    /// Strikes the next so many calls.
    times: Option<u32>,
    /// Strikes with this probability, in place of `times`.
    chance: Option<f64>,
    /// The status of an answer.
    status: Option<u16>,
    /// The body of an answer: JSON, or a string for an HTML page.
    body: Option<Value>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Milliseconds of a delay or hang; they are not scaled.
    ms: Option<u64>,
    /// Meta's code, for `meta_error` and `accept_then_fail`.
    code: Option<i64>,
    /// Meta's words, for the same.
    message: Option<String>,
}

impl FaultSpec {
    pub(super) fn fault(self) -> Result<Fault, String> {
        let times = match (self.times, self.chance) {
            (Some(_), Some(_)) => return Err("give either times or chance, not both".to_owned()),
            (None, Some(chance)) if !(0.0..=1.0).contains(&chance) => {
                return Err("chance is between 0 and 1".to_owned());
            }
            (None, Some(chance)) => Times::Chance(chance),
            (times, None) => Times::Next(times.unwrap_or(1)),
        };
        Ok(Fault { outcome: self.outcome()?, on: self.on, about: self.about, times })
    }

    fn outcome(&self) -> Result<Outcome, String> {
        let ms = Duration::from_millis(self.ms.unwrap_or(LONG));
        Ok(match self.outcome.as_str() {
            "answer" => Outcome::Answer(self.reply(503)?),
            "kapso_error" => Outcome::Answer(self.with_retry_after(Reply::server_error(self.status(500)?))),
            "cloudflare" => Outcome::Answer(self.with_retry_after(Reply::cloudflare(self.status(502)?))),
            "meta_error" => Outcome::Answer(self.meta_error()?),
            "rate_limited" => Outcome::Answer(Reply::rate_limited(self.retry_after.unwrap_or(60))),
            "in_flight" => Outcome::Answer(self.with_retry_after(Reply::in_flight())),
            "window_closed" => Outcome::Answer(Reply::window_closed()),
            "window_closed_by_meta" => Outcome::Answer(Reply::window_closed_by_meta()),
            "insufficient_credits" => Outcome::Answer(Reply::insufficient_credits()),
            "marketing_preference_stopped" => Outcome::Answer(Reply::marketing_preference_stopped()),
            "messaging_account_mismatch" => Outcome::Answer(Reply::messaging_account_mismatch()),
            "sandbox_session_required" => Outcome::Answer(Reply::sandbox_session_required()),
            "wrong_token" => Outcome::Answer(Reply::wrong_token()),
            "delay" => Outcome::Delay(ms),
            "hang" => Outcome::Hang(ms),
            "cut" => Outcome::Cut,
            "accept_then_answer" => Outcome::AcceptThenAnswer(self.reply(504)?),
            "accept_then_cloudflare" => Outcome::AcceptThenAnswer(Reply::cloudflare(self.status(504)?)),
            "accept_then_hang" => Outcome::AcceptThenHang(ms),
            "accept_then_cut" => Outcome::AcceptThenCut,
            "accept_then_fail" => self.fail_late(),
            "accept_held" => Outcome::AcceptHeld,
            unknown => return Err(format!("unknown outcome {unknown:?}; the README lists them")),
        })
    }

    fn status(&self, otherwise: u16) -> Result<u16, String> {
        let status = self.status.unwrap_or(otherwise);
        if (200..600).contains(&status) {
            Ok(status)
        } else {
            Err("status is between 200 and 599".to_owned())
        }
    }

    fn reply(&self, otherwise: u16) -> Result<Reply, String> {
        let status = self.status(otherwise)?;
        let reply = match &self.body {
            Some(Value::String(page)) => {
                Reply { status, body: ReplyBody::Html(page.clone()), headers: Vec::new() }
            }
            Some(body) => Reply::json(status, body.clone()),
            None => Reply::json(status, json!({ "error": "Injected by the simulator" })),
        };
        Ok(self.with_retry_after(reply))
    }

    fn meta_error(&self) -> Result<Reply, String> {
        let code = self.code.ok_or("meta_error needs a code")?;
        let message = self.message.as_deref().unwrap_or("Injected by the simulator");
        Ok(self.with_retry_after(Reply::meta(self.status(400)?, code, message, message)))
    }

    fn fail_late(&self) -> Outcome {
        match self.code {
            None => Outcome::fail_late(),
            Some(code) => {
                let title = self.message.clone().unwrap_or_else(|| "Message undeliverable".to_owned());
                Outcome::AcceptThenFail(MessageError { code, details: title.clone(), title })
            }
        }
    }

    fn with_retry_after(&self, reply: Reply) -> Reply {
        match self.retry_after {
            Some(seconds) => reply.retry_after(seconds),
            None => reply,
        }
    }
}

/// A fault that is still to strike.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    outcome: &'static str,
    on: Option<Action>,
    about: Option<String>,
    times: Option<u32>,
    chance: Option<f64>,
    status: Option<u16>,
}

impl From<&Fault> for Planned {
    fn from(fault: &Fault) -> Self {
        let (times, chance) = match fault.times {
            Times::Next(left) => (Some(left), None),
            Times::Chance(chance) => (None, Some(chance)),
        };
        let status = match &fault.outcome {
            Outcome::Answer(reply) | Outcome::AcceptThenAnswer(reply) => Some(reply.status),
            _ => None,
        };
        Self {
            outcome: fault.outcome.name(),
            on: fault.on,
            about: fault.about.clone(),
            times,
            chance,
            status,
        }
    }
}
