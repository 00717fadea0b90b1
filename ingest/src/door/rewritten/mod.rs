//! Was the body rewritten on its way? A proxy that parses JSON and writes it anew changes the
//! bytes that were signed, and no signature fits any more.
//!
//! When a signature does not fit, and seldom enough that nobody can keep us busy with it, the
//! usual ways of writing the same JSON are tried. Should one of them fit, then the sender and
//! the secret are right and something between is wrong: that is said in the log and counted.
//! The webhook is refused all the same; only the bytes that came are ever authenticated.

mod form;
mod json;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use contract::signature::{Keys, Presented};
use tokio::time::Instant;

pub(super) use form::Form;
use json::Json;

/// The largest body that is looked at, in bytes: most webhooks have a few thousand.
const MAX_BYTES: usize = 64 * 1024;

/// How often at the most it is looked: a stranger's false signatures cost no more than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Looks for the form in which a body was signed.
#[derive(Default)]
pub(super) struct Suspicion {
    last: Mutex<Option<Instant>>,
}

impl Suspicion {
    /// The form of `body` that one of the signatures fits, where it is looked for and found.
    pub(super) fn signed_as(&self, keys: &Keys, presented: &Presented, body: &[u8]) -> Option<Form> {
        (body.len() <= MAX_BYTES && self.may_look(Instant::now())).then_some(())?;
        form_of(keys, presented, body)
    }

    fn may_look(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.duration_since(last) >= AT_MOST_EVERY);
        if may {
            *last = Some(now);
        }
        may
    }
}

/// The form of `body` that one of the signatures fits.
fn form_of(keys: &Keys, presented: &Presented, body: &[u8]) -> Option<Form> {
    let json: Json = serde_json::from_slice(body).ok()?;
    Form::all().find(|form| keys.would_take(presented, form.write(&json).as_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use contract::{
        settings::Secret,
        signature::{SignatureHeader, sign},
    };

    use super::*;

    /// What Kapso may have signed, and what a proxy made of it.
    const REWRITTEN: [(&str, &str, &str); 6] = [
        // JSON.stringify, and Python's json.dumps behind it.
        (r#"{"b":1,"a":["ñ",1.0]}"#, r#"{"b": 1, "a": ["\u00f1", 1.0]}"#, "compact"),
        // The same, and jq -S behind it: the order is lost, but where the sender sorted.
        (
            r#"{"a":[],"b":{"c":null}}"#,
            "{\n  \"b\": {\n    \"c\": null\n  },\n  \"a\": []\n}",
            "compact, keys sorted",
        ),
        // Rails' to_json, and JSON.stringify behind it.
        (r#"{"a":"\u003cR\u0026D\u003e"}"#, r#"{"a":"<R&D>"}"#, "compact, & < > escaped"),
        // PHP's json_encode.
        (r#"{"a":"http:\/\/x\/\u00f1"}"#, r#"{"a":"http://x/ñ"}"#, "compact, ASCII, / escaped"),
        // Python's json.dumps, and JSON.stringify behind it.
        (r#"{"b": 1, "a": "\ud83d\ude0a"}"#, r#"{"b":1,"a":"😊"}"#, "spaced, ASCII"),
        (r#"{"b": 1, "a": "ñ"}"#, r#"{"b":1,"a":"ñ"}"#, "spaced"),
    ];

    fn keys() -> Keys {
        Keys::new(&[Secret::new("s3cret")], None)
    }

    fn signed(secret: &str, body: &str) -> Presented {
        let mut presented = Presented::default();
        let signature = sign(&Secret::new(secret), body.as_bytes());
        presented.add(SignatureHeader::Webhook, signature.as_bytes()).unwrap();
        presented
    }

    #[test]
    fn what_was_signed_in_another_form_is_seen() {
        for (sent, came, form) in REWRITTEN {
            let found = form_of(&keys(), &signed("s3cret", sent), came.as_bytes());
            assert_eq!(found.map(|form| form.to_string()).as_deref(), Some(form), "{came}");
        }
    }

    #[test]
    fn another_secret_or_another_content_is_no_rewriting() {
        for (sent, came, _) in REWRITTEN {
            assert!(form_of(&keys(), &signed("another", sent), came.as_bytes()).is_none());
            let changed = came.replacen('a', "z", 1);
            assert!(form_of(&keys(), &signed("s3cret", sent), changed.as_bytes()).is_none());
        }
        assert!(form_of(&keys(), &signed("s3cret", "{}"), b"no JSON").is_none());
        let deep = "[".repeat(60_000);
        assert!(form_of(&keys(), &signed("s3cret", "{}"), deep.as_bytes()).is_none());
    }

    #[test]
    fn it_is_looked_for_seldom_and_in_small_bodies() {
        let suspicion = Suspicion::default();
        let (sent, came, _) = REWRITTEN[0];
        let look = |came: &str| suspicion.signed_as(&keys(), &signed("s3cret", sent), came.as_bytes());
        let large = format!("{came}{}", " ".repeat(MAX_BYTES));
        assert!(look(&large).is_none());
        assert!(look(came).is_some());
        assert!(look(came).is_none());
        assert!(suspicion.may_look(Instant::now() + AT_MOST_EVERY));
    }
}
