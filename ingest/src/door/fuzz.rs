//! A million mutants of all examples, under the door's first look at a body.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::kind::MAX_KIND_BYTES;
use payloads::{Corpus, Mutant, all, run};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::peek::Peek;

#[test]
fn the_look_at_a_body() {
    run("peek", &Corpus::new(all().unwrap(), |_| true), check);
}

fn check(mutant: &Mutant) -> Result<(), String> {
    let body = mutant.body.as_slice();
    let seen = Peek::at(body);
    let header = mutant.kind.as_bytes();
    let kind = seen.kind(Some(header));
    if kind.as_str().is_empty() || kind.as_str().len() > MAX_KIND_BYTES {
        return Err(format!("the kind {kind:?}"));
    }
    // The look is stricter than a mere reader and laxer than a parser of everything.
    let read: Result<IgnoredAny, _> = serde_json::from_slice(body);
    if seen.is_json && read.is_err() {
        return Err("it takes for JSON what is none".to_owned());
    }
    if !seen.is_json && seen != Peek::default() {
        return Err("it believes what is no JSON".to_owned());
    }
    if let Ok(parsed) = serde_json::from_slice::<Value>(body) {
        if !seen.is_json {
            return Err("it takes for something else what is JSON".to_owned());
        }
        agree(&parsed, &seen, header)?;
    }
    if seen != Peek::at(body) {
        return Err("at a second look it is something else".to_owned());
    }
    Ok(())
}

/// Where the body names its kind plainly, that is the kind.
fn agree(parsed: &Value, seen: &Peek<'_>, header: &[u8]) -> Result<(), String> {
    let named = parsed.get("event_type").and_then(Value::as_str).filter(|name| !name.is_empty());
    let Some(named) = named else { return Ok(()) };
    let kind = seen.kind(Some(header));
    if named.starts_with(kind.as_str()) { Ok(()) } else { Err(format!("{kind:?} and not {named:?}")) }
}
