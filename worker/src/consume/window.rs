//! A window: the deliveries that one transaction takes.

use bytes::Bytes;
use contract::envelope::{Envelope, OpenError, Opened};
use lapin::{message::Delivery, types::AMQPValue};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::store::Batch;

/// From this many redeliveries on, a delivery is suspected to be what stops the worker:
/// it leaves the fast lane.
const SUSPECT_AFTER: i64 = 3;

/// The header in which a quorum queue counts redeliveries.
/// Source: RabbitMQ, "Quorum Queues: Poison Message Handling".
const DELIVERY_COUNT: &str = "x-delivery-count";

/// What a window holds, by what is to be done with it.
#[derive(Default)]
pub(super) struct Window {
    /// When its first delivery came, by both clocks.
    began: Option<(Instant, OffsetDateTime)>,
    /// To be projected; decoded as they come, while Postgres is at the window before.
    pub(super) fresh: Batch<Envelope>,
    /// To be set aside for the slow lane.
    pub(super) suspect: Vec<Envelope>,
    /// Not to be trusted to be what ingest received, with the reason.
    pub(super) unreadable: Vec<(Envelope, OpenError)>,
    /// The last delivery: acknowledging it acknowledges the window.
    last_tag: Option<u64>,
    len: usize,
    bytes: usize,
}

impl Window {
    /// Adds a delivery; `set_aside` sends it to the slow lane in any case.
    pub(super) fn add(&mut self, delivery: Delivery, set_aside: bool) {
        let (_, now) = *self.began.get_or_insert_with(|| (Instant::now(), OffsetDateTime::now_utc()));
        let Delivery { delivery_tag, properties, data, .. } = delivery;
        self.last_tag = Some(delivery_tag);
        self.len += 1;
        self.bytes += data.len();
        let redelivered =
            properties.headers().as_ref().and_then(|headers| headers.inner().get(DELIVERY_COUNT));
        let suspect = set_aside || redelivered.and_then(count).is_some_and(|count| count >= SUSPECT_AFTER);
        let Opened { webhooks, problem } = Envelope::open(&properties, Bytes::from(data), now);
        for mut webhook in webhooks {
            webhook.received_at = plausible(webhook.received_at, now);
            match &problem {
                Some(problem) => self.unreadable.push((webhook, problem.clone())),
                None if suspect => self.suspect.push(webhook),
                None => self.fresh.add(webhook),
            }
        }
    }

    /// How long their bodies are together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all of it is to be projected as it came.
    pub(super) fn is_plain(&self) -> bool {
        self.suspect.is_empty() && self.unreadable.is_empty() && !self.fresh.is_empty()
    }

    /// How many deliveries it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When its first delivery came; now, while there is none.
    pub(super) fn began(&self) -> Instant {
        self.began.map_or_else(Instant::now, |(at, _)| at)
    }

    /// The tag that acknowledges all of it.
    pub(super) fn last_tag(&self) -> Option<u64> {
        self.last_tag
    }
}

fn count(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(count) => Some(*count),
        AMQPValue::LongInt(count) => Some(i64::from(*count)),
        AMQPValue::LongUInt(count) => Some(i64::from(*count)),
        _ => None,
    }
}

/// The archive makes a partition for each month that it is told of: not for one that
/// only a broken clock could name.
fn plausible(received_at: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    let plausible = now - Duration::days(366)..=now + Duration::days(1);
    if plausible.contains(&received_at) { received_at } else { now }
}
