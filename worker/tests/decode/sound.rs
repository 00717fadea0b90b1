//! What holds of every decoded webhook, whatever came.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};
use worker::decode::Decoded;

use crate::{
    received::RECEIVED_AT,
    statements::{Said, each},
};

/// The longest id: an index row of Postgres has 2704 bytes, and up to three ids.
const LONGEST_ID: usize = 512;

/// Nothing before: it would be no time but a mistake.
const EARLIEST: OffsetDateTime = datetime!(1970-01-01 00:00:00 UTC);

/// Checks it, or says what does not hold.
pub(crate) fn check(decoded: &Decoded, body: &[u8]) -> Result<(), String> {
    let mut wrong = None;
    let mut expect = |holds: bool, what: &dyn Fn() -> String| {
        if !holds && wrong.is_none() {
            wrong = Some(what());
        }
    };
    let mut last = 0;
    for event in &decoded.events {
        expect(event.item >= last, &|| format!("item {} comes after {last}", event.item));
        last = event.item;
        expect(is_storable(event.at.at), &|| format!("the time {}", event.at.at));
        expect(event.at.timed || event.at.at == RECEIVED_AT, &|| "an untimed time".to_owned());
        each(&event.fact, &mut |(called, said)| match said {
            Said::Id(id) => {
                expect(!id.is_empty() && id.len() <= LONGEST_ID, &|| format!("{called}: the id {id:?}"));
                expect(!id.contains('\0'), &|| format!("{called}: U+0000 in {id:?}"));
            }
            Said::PhoneNumber(number) => {
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                expect(digits && !number.is_empty() && number.len() <= LONGEST_ID, &|| {
                    format!("{called}: {number:?}")
                });
            }
            Said::Text(text) => expect(!text.contains('\0'), &|| format!("{called}: U+0000 in {text:?}")),
            Said::Json(json) => {
                expect(!holds_nul(json), &|| format!("{called}: U+0000 in {json}"));
                let parsed = serde_json::from_str::<IgnoredAny>(json);
                expect(parsed.is_ok(), &|| format!("{called}: {parsed:?}"));
            }
            Said::Time(at) => expect(is_storable(at), &|| format!("{called}: the time {at}")),
        });
    }
    let mut places = HashSet::new();
    for letter in &decoded.undecodable {
        expect(places.insert(&letter.item), &|| format!("two dead letters at {:?}", letter.item));
        expect(!letter.reason.contains('\0') && !letter.reason.is_empty(), &|| {
            format!("{:?}", letter.reason)
        });
    }
    let silent = decoded.events.is_empty() && decoded.undecodable.is_empty() && decoded.not_understood == 0;
    expect(!silent || says_nothing(body), &|| "something came, and nothing became of it".to_owned());
    wrong.map_or(Ok(()), Err)
}

/// Postgres reaches further than this on both sides.
fn is_storable(at: OffsetDateTime) -> bool {
    at > EARLIEST && at.offset().is_utc() && at.nanosecond().is_multiple_of(1_000)
}

/// Whether a JSON text has U+0000 in a text of it: the escape, after an even number of backslashes.
fn holds_nul(json: &str) -> bool {
    let escaped =
        |place: usize| json[..place].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    json.contains('\0') || json.match_indices("u0000").any(|(place, _)| escaped(place))
}

/// Whether a body is an empty batch, in one of its forms.
fn says_nothing(body: &[u8]) -> bool {
    fn empty(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(empty),
            Value::Object(fields) => {
                let list =
                    |field| fields.get(field).is_some_and(|list| list.as_array().is_some_and(Vec::is_empty));
                list("entry") || fields.get("data").is_some_and(empty)
            }
            _ => false,
        }
    }
    // What had to be mended is not read again here.
    serde_json::from_slice(body).map_or_else(|_| body.windows(2).any(|it| it == b"[]"), |body| empty(&body))
}
