//! From a webhook's raw bytes to events. Pure: no clock, no database, no log.
//!
//! A decoder is one module for each dialect. It takes what is there and lets the rest be:
//! unknown fields, nulls, missing fields, numbers for texts. Only what can't be told at all
//! is an error, and then of that one item.

mod guide;
mod instant;
mod json;

use contract::envelope::Envelope;
use serde_json::Value;

use crate::event::{Dialect, Event};

/// What a webhook turned out to be.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its dialect; none when it is no dialect that we know.
    pub dialect: Option<Dialect>,
    /// What it says.
    pub events: Vec<Event>,
    /// Whether its dialect or its kind is none that we know: it is archived, and no more.
    pub not_understood: bool,
    /// The items that say nothing we can tell, each a dead letter.
    pub undecodable: Vec<Undecodable>,
}

/// An item that can't be decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its place in the body; none for the whole of it.
    pub item: Option<String>,
    /// Why, for a person.
    pub reason: String,
}

/// Decodes a webhook.
#[must_use]
pub fn decode(webhook: &Envelope) -> Decoded {
    let body = match json::parse(&webhook.body) {
        Ok(body) => body,
        Err(error) => return undecodable(format!("the body is not JSON: {error}")),
    };
    match dialect(&body) {
        Some(Dialect::Guide) => guide::decode(&body, webhook.received_at),
        _ => Decoded { not_understood: true, ..Decoded::default() },
    }
}

/// Finds the dialect from the body.
fn dialect(body: &Value) -> Option<Dialect> {
    body.get("event_type").is_some_and(Value::is_string).then_some(Dialect::Guide)
}

fn undecodable(reason: String) -> Decoded {
    Decoded { undecodable: vec![Undecodable { item: None, reason }], ..Decoded::default() }
}
