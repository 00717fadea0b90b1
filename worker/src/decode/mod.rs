//! From a webhook's raw bytes to events. Pure: no clock, no database, no log.
//!
//! A webhook is unwrapped to its items ([`items`]); each is decoded by the one module that
//! knows its dialect. A decoder takes what is there and lets the rest be: unknown fields,
//! nulls, missing fields, numbers for texts. Only what can't be told at all is an error,
//! and then of that one item.

pub(crate) mod backfill;
mod content;
mod guide;
mod instant;
mod items;
mod json;
mod kapso;
mod kapso_v1;
mod kapso_v2;
mod limits;
mod mend;
mod meta;
mod meta_people;
mod person;
mod status;
mod subject;

pub(crate) use instant::instant;
pub(crate) use json::text;

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
    /// How many of its items are of a kind that we do not know: archived, and at most what
    /// every kind says, such as who wrote to whom, is among the events.
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
    /// It tells this, and beyond that it is of a kind that we do not know.
    InPart(Facts),
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
    let items = items::unwrap(&body);
    if items.is_empty() {
        // An empty batch says nothing, and that is fine.
        decoded.dialect = items::dialect(&Value::Null, &webhook.hints);
    }
    // An item that names no kind itself is of the kind that the webhook came as.
    let kind = json::without_nul(webhook.kind.as_str());
    let mut counted = 0;
    for mut item in items {
        item.kind.get_or_insert(&kind);
        let dialect = items::dialect(item.value, &webhook.hints).filter(|_| item.value.is_object());
        decoded.dialect = decoded.dialect.max(dialect);
        for (place, told) in told(dialect, item, webhook.received_at) {
            decoded.add(place, limits::kept(told), counted);
            counted += 1;
        }
    }
    decoded
}

/// What an item tells, in the dialect that it is in. Meta's entries hold items of their own.
fn told(
    dialect: Option<Dialect>,
    item: Item<'_>,
    received_at: OffsetDateTime,
) -> Vec<(Option<String>, Told)> {
    let told = match dialect {
        Some(Dialect::Guide) => guide::decode(item.value, received_at),
        Some(Dialect::KapsoV1) => kapso_v1::decode(item.value, item.kind(), received_at),
        Some(Dialect::KapsoV2) => kapso_v2::decode(item.value, item.kind(), received_at),
        Some(Dialect::Backfill(listing)) => backfill::decode(listing, item.value, received_at),
        Some(Dialect::Meta) => return meta::decode(item.value, item.place.as_deref(), received_at),
        Some(Dialect::Outbox) | None if item.value.is_object() => Told::NotUnderstood,
        Some(Dialect::Outbox) | None => Told::no_object(),
    };
    vec![(item.place, told)]
}

impl Told {
    /// A fact has to be an object.
    fn no_object() -> Self {
        Self::Undecodable("it is no JSON object".to_owned())
    }

    /// What a message tells; one of a type that we do not know is kept, and counted as such.
    fn message(kind: Option<&str>, facts: Facts) -> Self {
        if kind.is_none_or(content::is_known) { Self::Facts(facts) } else { Self::InPart(facts) }
    }
}

impl Decoded {
    fn add(&mut self, place: Option<String>, told: Told, item: usize) {
        let mut tell = |facts: Facts| {
            self.events.extend(facts.into_iter().map(|(at, fact)| Event { item, at, fact }));
        };
        match told {
            Told::Facts(facts) => tell(facts),
            Told::InPart(facts) => {
                tell(facts);
                self.not_understood += 1;
            }
            Told::NotUnderstood => self.not_understood += 1,
            Told::Undecodable(reason) => self.undecodable.push(Undecodable { item: place, reason }),
        }
    }
}
