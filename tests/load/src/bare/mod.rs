//! Programs that do one part of the product's work and nothing else: what the machine can do at the most, with the
//! same libraries and the same bodies, measured between the runs of the product.

pub mod confirm;
pub mod consume;
pub mod door;
pub mod naive;
pub mod publish;
pub mod store;
pub mod sync;

use bytes::Bytes;
use contract::envelope::{Envelope, Hints};
use time::OffsetDateTime;

use crate::traffic::Traffic;

/// The webhook of this number as ingest would seal it now.
pub(crate) fn envelope(traffic: &Traffic, number: u64) -> Envelope {
    let mut body = Vec::with_capacity(2048);
    let sent = traffic.write(number, &mut body);
    let mut hints = Hints::default();
    hints.offer("content-type", b"application/json");
    if let Some(event) = sent.event {
        hints.offer("x-webhook-event", event.as_bytes());
        hints.offer("x-idempotency-key", format!("{number:032x}").as_bytes());
    }
    if let Some(version) = sent.version {
        hints.offer("x-webhook-payload-version", version.as_bytes());
    }
    let (id, kind) = traffic.id(number, &body);
    Envelope::recall(id, kind, OffsetDateTime::now_utc(), "secret:0".to_owned(), hints, Bytes::from(body))
}
