//! An example body with holes in it: filled in for each request, without parsing or serialising anything.

use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use payloads::Example;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What differs from one body to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// The message that the event is about.
    Message,
    /// The contact's number, without a plus sign.
    Phone,
    /// The contact's number, with one.
    PlusPhone,
    /// The contact's business-scoped id.
    Scoped,
    /// The sender's own id of the contact.
    Contact,
    /// The conversation.
    Conversation,
    /// Seconds of the Unix epoch.
    Unix,
    /// The same instant, as RFC 3339 writes it.
    Instant,
    /// What the message says.
    Text,
}

/// What the holes of one body are filled with.
pub(super) struct Filling<'a> {
    /// Unlike any other's, in ASCII.
    pub(super) message: &'a [u8],
    pub(super) contact: u64,
    pub(super) at: OffsetDateTime,
    /// As JSON writes it, without quotes.
    pub(super) text: &'a [u8],
}

enum Piece {
    Bytes(Vec<u8>),
    Hole(Hole),
}

/// A body with holes, and the kind that it is sent under.
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// The header `X-Webhook-Event`, where the dialect has it.
    pub(super) event: Option<String>,
    /// The header `X-Webhook-Payload-Version`, likewise.
    pub(super) version: Option<String>,
}

impl Template {
    /// Makes holes of the values at these places, wherever they stand in the body. A place that is not there makes
    /// none, but a message must be named.
    pub(super) fn new(example: &Example, places: &[(&str, Hole)]) -> Result<Self> {
        let parsed: Value = serde_json::from_slice(&example.body).with_context(|| example.name.clone())?;
        let mut values: Vec<(Vec<u8>, Hole)> = places
            .iter()
            .filter_map(|(place, hole)| Some((parsed.pointer(place)?.as_str()?, *hole)))
            .filter(|(value, _)| !value.is_empty())
            // As it stands in the body, where escapes may be written out or not.
            .filter_map(|(value, hole)| Some((written(&example.body, value)?, hole)))
            .collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let pieces = cut(&example.body, &values);
        let named = pieces.iter().any(|piece| matches!(piece, Piece::Hole(Hole::Message)));
        ensure!(named, "{} names no message", example.name);
        let header = |name| example.header(name).map(str::to_owned);
        Ok(Self { pieces, event: header("x-webhook-event"), version: header("x-webhook-payload-version") })
    }

    /// Appends a body to `to`.
    pub(super) fn fill(&self, filling: &Filling<'_>, to: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => to.extend_from_slice(bytes),
                Piece::Hole(hole) => filling.write(*hole, to),
            }
        }
    }
}

impl Filling<'_> {
    fn write(&self, hole: Hole, to: &mut Vec<u8>) {
        let contact = self.contact;
        // Writing to memory does not fail.
        let _ = match hole {
            Hole::Message => to.write_all(self.message),
            Hole::Phone => write!(to, "549115{contact:07}"),
            Hole::PlusPhone => write!(to, "+549115{contact:07}"),
            Hole::Scoped => write!(to, "AR.{contact:012}"),
            Hole::Contact => write!(to, "ctc_{contact:07}"),
            Hole::Conversation => write!(to, "5e072115-1a3b-403b-919d-{contact:012}"),
            Hole::Unix => write!(to, "{}", self.at.unix_timestamp()),
            Hole::Instant => self.at.format(&Rfc3339).map_or(Ok(()), |text| to.write_all(text.as_bytes())),
            Hole::Text => to.write_all(self.text),
        };
    }
}

/// The bytes that stand for a value in a body: the value itself, or what JSON makes of it.
fn written(body: &[u8], value: &str) -> Option<Vec<u8>> {
    let escaped = || {
        let ascii = value.chars().flat_map(|char| {
            let mut units = [0; 2];
            let units: Vec<u16> = char.encode_utf16(&mut units).to_vec();
            let plain = char.is_ascii().then(|| char.to_string());
            plain.map_or_else(
                || units.iter().map(|unit| format!("\\u{unit:04x}")).collect(),
                |char| vec![char],
            )
        });
        ascii.collect::<String>()
    };
    [value.to_owned(), escaped()]
        .into_iter()
        .map(String::into_bytes)
        .find(|value| position(body, value).is_some())
}

fn position(body: &[u8], value: &[u8]) -> Option<usize> {
    body.windows(value.len()).position(|window| window == value)
}

/// Cuts a body along values; where two could begin, the first of the list does.
fn cut(body: &[u8], values: &[(Vec<u8>, Hole)]) -> Vec<Piece> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), Vec::new(), body);
    while let Some((first, after)) = rest.split_first() {
        match values.iter().find(|(value, _)| rest.starts_with(value)) {
            Some((value, hole)) => {
                pieces.push(Piece::Bytes(std::mem::take(&mut plain)));
                pieces.push(Piece::Hole(*hole));
                rest = rest.get(value.len()..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    pieces.push(Piece::Bytes(plain));
    pieces
}
