//! Alarms: what a person has to see to, told to an address of theirs (`BUZON_ALERT_URL`).
//!
//! Both programs raise alarms: ingest for what it alone sees, the worker for the rest. What is
//! told ([`Notice`]), to whom ([`Receiver`]) and how often ([`Telling`]) is the same for both.

mod receiver;
mod telling;

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

pub use receiver::{NotTold, Receiver};
pub use telling::{Telling, repeat};

/// How an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is raised.
    Raised,
    /// It is over.
    Resolved,
}

/// What the receiver is told. No secret, number or text of a message is in it.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// The alarm's name.
    pub alarm: &'a str,
    /// How it is.
    pub state: State,
    /// Since when it is, or was, raised.
    pub since: OffsetDateTime,
    /// When it was over.
    pub until: Option<OffsetDateTime>,
    /// What is wrong and what to do.
    pub text: &'a str,
    /// Which program raised it.
    pub source: &'static str,
}

impl Notice<'_> {
    /// The body of the request. Its names are a promise to receivers.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let shown = |at: OffsetDateTime| at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default();
        serde_json::json!({
            "alarm": self.alarm,
            "state": match self.state { State::Raised => "raised", State::Resolved => "resolved" },
            "since": shown(self.since),
            "until": self.until.map(shown),
            "text": self.text,
            "source": self.source,
        })
    }
}

/// The figure of an alarm: 1 while it is raised.
pub fn figure(alarm: &'static str, is_raised: bool) {
    metrics::gauge!("buzon_alarm_raised", "alarm" => alarm).set(if is_raised { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_is_documented() {
        let since = time::macros::datetime!(2026-11-25 12:00 -3);
        let notice = Notice {
            alarm: "backlog",
            state: State::Raised,
            since,
            until: None,
            text: "x",
            source: "worker",
        };
        let expected = r#"{"alarm":"backlog","since":"2026-11-25T15:00:00Z","source":"worker","state":"raised","text":"x","until":null}"#;
        assert_eq!(notice.json().to_string(), expected);
    }
}
