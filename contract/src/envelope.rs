//! The envelope: a webhook on its way from `ingest` to `worker`.
//!
//! On the wire it is one AMQP message: the body is the webhook's raw bytes, untouched;
//! `message_id` is its id, `type` its kind, `timestamp` when it was received; the rest
//! travels as headers. A version goes with it: a reader of version n reads n−1.

use std::fmt;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{kind::Kind, signature::Verified};

/// The version that this code writes, and the newest that it reads.
pub const VERSION: i32 = 1;

/// AMQP's delivery mode "persistent" (AMQP 0-9-1, basic class).
const PERSISTENT: u8 = 2;

const VERSION_HEADER: &str = "buzon-version";
const RECEIVED_HEADER: &str = "buzon-received-ms";
const VERIFIED_HEADER: &str = "buzon-verified-by";

/// The request headers that travel with a webhook, in lower case; no other does, since
/// a webhook's custom headers can hold tokens. None of them is signed: they are hints.
pub const ALLOWED_HEADERS: [&str; 7] = [
    "content-type",
    "traceparent",
    "x-batch-size",
    "x-idempotency-key",
    "x-webhook-batch",
    "x-webhook-event",
    "x-webhook-payload-version",
];

/// The longest header value that travels, in bytes; a longer one is no hint of Kapso's.
const MAX_HEADER_BYTES: usize = 512;

/// The name of a webhook: SHA-256 over its kind and its body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookId([u8; 32]);

impl WebhookId {
    /// The id of a webhook with this kind and body.
    #[must_use]
    pub fn of(kind: &Kind, body: &[u8]) -> Self {
        let kind = kind.as_str().as_bytes();
        let hash = Sha256::new()
            // The length keeps a kind's end from passing for a body's beginning.
            .chain_update(u64::try_from(kind.len()).unwrap_or(u64::MAX).to_be_bytes())
            .chain_update(kind)
            .chain_update(body);
        Self(hash.finalize().into())
    }

    /// An id from its 32 bytes, as the archive keeps it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The id's 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hints that came with a webhook: the value of each of [`ALLOWED_HEADERS`], in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints([Option<Box<str>>; ALLOWED_HEADERS.len()]);

impl Hints {
    /// Keeps a request header if it is on the allow-list, is text, and is not over-long.
    pub fn offer(&mut self, name: &str, value: &[u8]) {
        let mut allowed = ALLOWED_HEADERS.iter().zip(&mut self.0);
        let Some((_, hint)) = allowed.find(|(allowed, _)| allowed.eq_ignore_ascii_case(name)) else { return };
        if let Ok(value) = std::str::from_utf8(value)
            && value.len() <= MAX_HEADER_BYTES
        {
            *hint = Some(value.into());
        }
    }

    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value)
    }

    /// Every header that was kept.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        ALLOWED_HEADERS.into_iter().zip(&self.0).filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// A webhook with all that the worker needs to know about it.
///
/// Only [`Envelope::seal`] (from a verified body), [`Envelope::open`] (from the wire) and
/// [`Envelope::recall`] (from where it was kept) make one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Envelope {
    /// The webhook's name.
    pub id: WebhookId,
    /// The kind of its event, as sent.
    pub kind: Kind,
    /// When its last byte was received, to the millisecond, in UTC.
    pub received_at: OffsetDateTime,
    /// How it was authenticated (see [`crate::signature::VerifiedBy`]); kept as text,
    /// since the secrets it counts are the door's.
    pub verified_by: String,
    /// The headers that came with it.
    pub hints: Hints,
    /// The raw bytes.
    pub body: Bytes,
}

/// A message on our queues that is no envelope of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A newer ingest wrote it.
    #[error("its envelope has version {0}, and this worker reads up to {VERSION}: upgrade the worker")]
    Newer(i32),
    /// Somebody else wrote it.
    #[error("it carries no envelope version: ingest did not write it")]
    NoVersion,
}

/// What one AMQP delivery carries: one or more webhooks (one, today).
///
/// An unreadable envelope still yields its webhook, as far as it goes, with the reason
/// beside it: its bytes must be kept.
#[derive(Debug)]
pub struct Opened {
    /// The webhooks, never empty.
    pub webhooks: Vec<Envelope>,
    /// Why they can't be trusted to be what `ingest` received.
    pub problem: Option<OpenError>,
}

impl Envelope {
    /// Seals a body that came past the door.
    #[must_use]
    pub fn seal(verified: Verified, kind: Kind, hints: Hints, received_at: OffsetDateTime) -> Self {
        let (body, by) = verified.into_parts();
        let id = WebhookId::of(&kind, &body);
        let received_at = to_millisecond(received_at);
        Self { id, kind, received_at, verified_by: by.to_string(), hints, body }
    }

    /// A webhook as the archive or the spool keeps it, or as Kapso's listing makes up for it.
    #[must_use]
    pub fn recall(
        id: WebhookId,
        kind: Kind,
        received_at: OffsetDateTime,
        verified_by: String,
        hints: Hints,
        body: Bytes,
    ) -> Self {
        Self { id, kind, received_at, verified_by, hints, body }
    }

    /// The AMQP properties that carry everything but the body.
    #[must_use]
    pub fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(VERSION_HEADER.into(), AMQPValue::LongInt(VERSION));
        headers.insert(RECEIVED_HEADER.into(), AMQPValue::LongLongInt(unix_millis(self.received_at)));
        headers.insert(VERIFIED_HEADER.into(), AMQPValue::LongString(self.verified_by.as_str().into()));
        for (name, value) in self.hints.iter() {
            headers.insert(ShortString::from(name), AMQPValue::LongString(value.into()));
        }
        BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.id.to_string().into())
            .with_type(self.kind.as_str().into())
            .with_timestamp(u64::try_from(self.received_at.unix_timestamp()).unwrap_or(0))
            .with_headers(headers)
    }

    /// Reads what a delivery carries. `now` stands in for a receive time that is missing.
    #[must_use]
    pub fn open(properties: &BasicProperties, body: Bytes, now: OffsetDateTime) -> Opened {
        let empty = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&empty).inner();
        let problem = match headers.get(VERSION_HEADER).and_then(AMQPValue::as_long_int) {
            None => Some(OpenError::NoVersion),
            Some(version) if version > VERSION => Some(OpenError::Newer(version)),
            Some(_) => None,
        };
        let kind = Kind::new(properties.kind().as_ref().map_or("", ShortString::as_str));
        let received_at = headers
            .get(RECEIVED_HEADER)
            .and_then(AMQPValue::as_long_long_int)
            .and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok());
        let mut hints = Hints::default();
        for (name, value) in headers {
            if let AMQPValue::LongString(text) = value {
                hints.offer(name.as_str(), text.as_bytes());
            }
        }
        let verified_by = match headers.get(VERIFIED_HEADER) {
            Some(AMQPValue::LongString(by)) => by.to_string(),
            _ => "unknown".to_owned(),
        };
        let id = WebhookId::of(&kind, &body);
        let received_at = received_at.unwrap_or_else(|| to_millisecond(now));
        let webhooks = vec![Self { id, kind, received_at, verified_by, hints, body }];
        Opened { webhooks, problem }
    }
}

fn unix_millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The wire carries milliseconds; both sides must see the same instant.
fn to_millisecond(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_millisecond(at.millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Keys, Presented};

    const BODY: &[u8] = b"{\"event_type\": \"message.received\"}";

    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn sealed() -> Envelope {
        let verified = Keys::new(&[], None).verify(&Presented::default(), Bytes::from_static(BODY)).unwrap();
        let mut hints = Hints::default();
        hints.offer("X-Webhook-Event", b"message.received");
        hints.offer("Authorization", b"Bearer token");
        hints.offer("X-Idempotency-Key", &[b'x'; 513]);
        let received_at = OffsetDateTime::from_unix_timestamp_nanos(1_771_421_467_123_456_789).unwrap();
        Envelope::seal(verified, Kind::new("message.received"), hints, received_at)
    }

    #[test]
    fn what_is_sealed_opens_as_it_was() {
        let sealed = sealed();
        let opened = Envelope::open(&sealed.properties(), sealed.body.clone(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(opened.problem, None);
        let [webhook] = opened.webhooks.as_slice() else { unreachable!("one webhook") };
        assert_eq!(webhook.id, sealed.id);
        assert_eq!(webhook.kind, sealed.kind);
        assert_eq!(webhook.received_at, sealed.received_at);
        assert_eq!(webhook.verified_by, "nothing");
        assert_eq!(webhook.hints, sealed.hints);
        assert_eq!(webhook.body, BODY);
    }

    #[test]
    fn only_allowed_headers_travel() {
        let names: Vec<_> = sealed().hints.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["x-webhook-event"]);
    }

    #[test]
    fn a_kind_and_a_body_never_pass_for_another_pair() {
        assert_ne!(WebhookId::of(&Kind::new("ab"), b"c"), WebhookId::of(&Kind::new("a"), b"bc"));
    }

    #[test]
    fn a_newer_or_foreign_envelope_keeps_its_bytes() {
        let foreign =
            Envelope::open(&BasicProperties::default(), Bytes::from_static(BODY), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(foreign.problem, Some(OpenError::NoVersion));
        assert_eq!(
            foreign.webhooks.first().map(|webhook| webhook.body.clone()),
            Some(Bytes::from_static(BODY))
        );

        let mut headers = FieldTable::default();
        headers.insert(VERSION_HEADER.into(), AMQPValue::LongInt(VERSION + 1));
        let properties = BasicProperties::default().with_headers(headers);
        let newer = Envelope::open(&properties, Bytes::from_static(BODY), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(newer.problem, Some(OpenError::Newer(VERSION + 1)));
    }
}
