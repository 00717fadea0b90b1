//! From a webhook's raw bytes to events. Pure: no clock, no database, no log.
//!
//! A webhook is unwrapped to its items ([`items`]); each is decoded by the one module that
//! knows its dialect. A decoder takes what is there and lets the rest be: unknown fields,
//! nulls, missing fields, numbers for texts. Only what can't be told at all is an error,
//! and then of that one item.

mod content;
mod guide;
mod instant;
mod items;
mod json;
mod kapso_v1;
mod kapso_v2;
mod meta;
mod status;
mod subject;

use contract::envelope::Envelope;
use serde_json::Value;
use time::OffsetDateTime;

use crate::event::{Dialect, Event, Fact, Moment};
use items::Item;

/// What a webhook turned out to be.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its dialect; none when it is no dialect that we know.
    pub dialect: Option<Dialect>,
    /// What it says.
    pub events: Vec<Event>,
    /// How many of its items are of a kind that we do not know: archived, and no more.
    pub not_understood: usize,
    /// The items that say nothing we can tell, each a dead letter.
    pub undecodable: Vec<Undecodable>,
}

/// An item that can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its place in the body, such as `data[3]`; none for the whole of it.
    pub item: Option<String>,
    /// Why, for a person.
    pub reason: String,
}

/// What one item tells, each fact with its time.
type Facts = Vec<(Moment, Fact)>;

/// What became of one item.
enum Told {
    /// It tells this.
    Facts(Facts),
    /// It is of a kind that we do not know.
    NotUnderstood,
    /// It can't be told, for this reason.
    Undecodable(String),
}

/// Decodes a webhook.
#[must_use]
pub fn decode(webhook: &Envelope) -> Decoded {
    let mut decoded = Decoded::default();
    let body = match json::parse(&webhook.body) {
        Ok(body) => body,
        Err(error) => {
            decoded.add(None, Told::Undecodable(format!("the body is not JSON: {error}")), 0);
            return decoded;
        }
    };
    let mut items = items::unwrap(&body);
    if items.is_empty() {
        // An empty batch says nothing, and that is fine.
        decoded.dialect = items::dialect(&Value::Null, &webhook.hints);
    }
    // An item that names no kind itself is of the kind that the webhook came as.
    for item in &mut items {
        if item.kind.is_none() {
            item.kind = Some(webhook.kind.as_str());
        }
    }
    let mut counted = 0;
    for item in items {
        let Some(dialect) = items::dialect(item.value, &webhook.hints) else {
            let told = item.told_nothing();
            decoded.add(item.place, told, counted);
            counted += 1;
            continue;
        };
        decoded.dialect = decoded.dialect.max(Some(dialect));
        for (place, told) in told(dialect, item, webhook.received_at) {
            decoded.add(place, told, counted);
            counted += 1;
        }
    }
    decoded
}

/// What an item tells, in the dialect that it is in. Meta's entries hold items of their own.
fn told(dialect: Dialect, item: Item<'_>, received_at: OffsetDateTime) -> Vec<(Option<String>, Told)> {
    let one = |told| vec![(item.place.clone(), told)];
    match dialect {
        Dialect::Guide => one(guide::decode(item.value, received_at)),
        Dialect::KapsoV1 => one(kapso_v1::decode(item.value, item.kind(), received_at)),
        Dialect::KapsoV2 => one(kapso_v2::decode(item.value, item.kind(), received_at)),
        Dialect::Meta => meta::decode(item.value, item.place.as_deref(), received_at),
        Dialect::Outbox => Vec::new(),
    }
}

impl Decoded {
    fn add(&mut self, place: Option<String>, told: Told, item: usize) {
        match told {
            Told::Facts(facts) => {
                self.events.extend(facts.into_iter().map(|(at, fact)| Event { item, at, fact }));
            }
            Told::NotUnderstood => self.not_understood += 1,
            Told::Undecodable(reason) => self.undecodable.push(Undecodable { item: place, reason }),
        }
    }
}
