//! Why an effect is in the state that it is in, and what happens next, in plain words. Pure.

use time::{OffsetDateTime, UtcOffset, macros::format_description};

use super::{effects::Effect, lanes::Lane};
use crate::effects::choose::UNKNOWN_HOLDS;

/// Both, each a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Why it is so.
    pub why: String,
    /// What happens next.
    pub next: String,
}

/// Explains an effect of a lane.
#[must_use]
pub fn explain(effect: &Effect, lane: Option<&Lane>, now: OffsetDateTime) -> Explained {
    let outcome = effect.outcome.as_deref().unwrap_or("nothing more is on record");
    let (why, next) = match effect.state.as_str() {
        "done" => {
            let taken = format!("Kapso took it at {}.", effect.settled_at.map(at).unwrap_or_default());
            match effect.failed_since() {
                Some(why) => (
                    format!("{taken} WhatsApp did not deliver it: {why}."),
                    "Nothing: it is not sent again.".to_owned(),
                ),
                None if effect.is_held() => (
                    format!("{taken} Meta holds it for a quality check before it delivers it."),
                    "Nothing: if Meta delivers it or drops it, its status says so.".to_owned(),
                ),
                None => (taken, "Nothing: it is done.".to_owned()),
            }
        }
        "discarded" => (
            format!("It is discarded: {outcome}."),
            "Nothing, unless somebody decides otherwise: `worker effects retry`.".to_owned(),
        ),
        "unknown" => unknown(effect, outcome, now),
        _ => pending(effect, lane, now),
    };
    Explained { why, next }
}

fn unknown(effect: &Effect, outcome: &str, now: OffsetDateTime) -> (String, String) {
    let why =
        format!("A request left, and nobody knows whether Kapso took it: {outcome}. It may have arrived.");
    let until = effect.settled_at.map(|at| (at + UNKNOWN_HOLDS).min(effect.expires_at));
    let until = until.filter(|until| *until > now);
    let waiting = match until {
        Some(until) if effect.kind == "send_text" => {
            format!(" Later effects of its lane wait for it until {} at the longest.", at(until))
        }
        _ => String::new(),
    };
    let next = "It is not repeated without evidence, since that could be the second time.";
    (why, format!("{next}{waiting} `worker effects retry` and `discard` are for whoever knows better."))
}

fn pending(effect: &Effect, lane: Option<&Lane>, now: OffsetDateTime) -> (String, String) {
    if let Some(lease) = effect.lease {
        return if lease > now {
            (
                "A worker is performing it right now.".to_owned(),
                format!("Its end is recorded; if nobody sees it until {}, it becomes unknown.", at(lease)),
            )
        } else {
            (
                "A worker began to perform it, and stopped.".to_owned(),
                "A running worker makes it unknown within a second.".to_owned(),
            )
        };
    }
    if effect.expires_at < now {
        let why = format!("It has been too old since {}.", at(effect.expires_at));
        return (why, "A running worker discards it within a second.".to_owned());
    }
    let deadline = format!("after {} it is discarded as too old", at(effect.expires_at));
    let paused = lane.and_then(|lane| lane.paused_until.zip(lane.pause_reason.as_deref()));
    if let (Some((until, why)), "send_text") = (paused, effect.kind.as_str()) {
        return (
            format!("Its lane is paused until {}: {why}.", at(until)),
            "A running worker discards it when its turn comes.".to_owned(),
        );
    }
    if let Some(other) = effect.waits_for {
        return (
            format!("It waits for effect {other} of its lane."),
            format!("Its turn comes then; {deadline}."),
        );
    }
    if effect.next_at > now {
        let why = effect.outcome.as_deref().unwrap_or("it is put off");
        return (format!("It waits: {why}."), format!("It is tried at {}; {deadline}.", at(effect.next_at)));
    }
    let why = "It is due, and no worker has taken it yet.".to_owned();
    (why, format!("A running worker takes it as soon as the key allows (see api_keys); {deadline}."))
}

fn at(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    time.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sqlx::types::Json;
    use time::{Duration, macros::datetime};

    use super::*;
    use crate::effects::outcome::HELD;

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

    fn effect() -> Effect {
        Effect {
            id: 7,
            state: "pending".to_owned(),
            kind: "send_text".to_owned(),
            message_id: "m".to_owned(),
            conversation_id: None,
            lane: "1/2".to_owned(),
            recipient: None,
            body: None,
            rule: None,
            attempts: 0,
            next_at: NOW,
            expires_at: NOW + Duration::minutes(15),
            lease: None,
            outcome: None,
            sent_message_id: None,
            sent_status: None,
            sent_error: None,
            created_at: NOW,
            settled_at: None,
            retried_at: None,
            written_at: None,
            waits_for: None,
            total: 1,
        }
    }

    fn told(effect: &Effect, lane: Option<&Lane>) -> String {
        let explained = explain(effect, lane, NOW);
        format!("{} {}", explained.why, explained.next)
    }

    #[test]
    fn every_state_is_told_with_what_comes_next() {
        let settled = |state: &str, outcome: &str| Effect {
            state: state.to_owned(),
            outcome: Some(outcome.to_owned()),
            settled_at: Some(NOW - Duration::minutes(1)),
            ..effect()
        };
        let failed = |error| Effect {
            sent_status: Some("failed".to_owned()),
            sent_error: Some(Json(error)),
            ..settled("done", "done")
        };
        let paused = Lane {
            id: "1/2".to_owned(),
            phone_number_id: None,
            conversation_id: None,
            paused_until: Some(NOW + Duration::HOUR),
            pause_reason: Some("by hand".to_owned()),
            resumed_at: None,
        };
        let held = || settled("done", HELD);
        for (effect, lane, expected) in [
            (held(), None, "Meta holds it for a quality check"),
            (Effect { sent_status: Some("sent".to_owned()), ..held() }, None, "Meta holds it"),
            (Effect { sent_status: Some("read".to_owned()), ..held() }, None, "Nothing: it is done."),
            (effect(), None, "no worker has taken it yet"),
            (effect(), Some(&paused), "paused until 2026-11-25 13:00:00 UTC: by hand"),
            (Effect { waits_for: Some(6), ..effect() }, None, "waits for effect 6"),
            (
                Effect { next_at: NOW + Duration::MINUTE, ..effect() },
                None,
                "tried at 2026-11-25 12:01:00 UTC",
            ),
            (Effect { lease: Some(NOW + Duration::MINUTE), ..effect() }, None, "right now"),
            (Effect { lease: Some(NOW - Duration::MINUTE), ..effect() }, None, "makes it unknown"),
            (Effect { expires_at: NOW - Duration::MINUTE, ..effect() }, None, "discards it"),
            (settled("done", "done"), None, "Kapso took it at 2026-11-25 11:59:00 UTC. Nothing: it is done."),
            (
                failed(json!([{"code": 131_047, "title": "Re-engagement message"}])),
                None,
                "Re-engagement message (131047).",
            ),
            (failed(json!({"message": "to +56911110001"})), None, "WhatsApp did not deliver it: to …."),
            (failed(json!("expired")), None, "did not deliver it: expired."),
            (failed(json!(null)), None, "did not deliver it: no reason was given."),
            (settled("discarded", "too old"), None, "It is discarded: too old."),
            (settled("unknown", "HTTP 504"), None, "wait for it until 2026-11-25 12:09:00 UTC"),
        ] {
            let told = told(&effect, lane);
            assert!(told.contains(expected), "{told}");
        }
        // A pause stops replies, not marks.
        let mark = Effect { kind: "mark_read".to_owned(), ..effect() };
        assert!(!told(&mark, Some(&paused)).contains("paused"));
    }
}
