//! What became of every webhook, kept for assertions.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::Parcel;
use crate::dialect::Dialect;

/// One webhook and its attempts.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Counts deliveries from 1.
    pub number: u64,
    /// The event's kind, in the dialect's words.
    pub kind: String,
    /// The shape of the body.
    pub dialect: Dialect,
    /// The same over all attempts; the guide and Meta-forwarded webhooks do not send it.
    pub idempotency_key: String,
    /// Its conversation.
    pub conversation_id: Option<String>,
    /// Every name of every message in it.
    pub message_ids: Vec<String>,
    /// Messages in a batch's envelope.
    pub batch_size: Option<usize>,
    /// The delivery that this one repeats or falls back from.
    pub origin: Option<u64>,
    /// The webhook that it goes by; none: the number's first.
    pub webhook_id: Option<String>,
    /// What became of it.
    pub state: DeliveryState,
    /// Each try.
    pub attempts: Vec<Attempt>,
    /// The bytes that were signed and sent.
    #[serde(serialize_with = "as_text")]
    pub body: Bytes,
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits, or is being tried.
    Pending,
    /// The receiver answered 200.
    Delivered,
    /// Kapso gave up.
    Failed,
    /// There was nowhere to send it, the webhook is paused, or it was to be lost.
    Skipped,
}

/// One try to deliver a webhook.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Counts a webhook's tries from 1.
    pub number: u32,
    /// When it left (ISO-8601).
    pub at: String,
    /// What the receiver answered; none: nothing in time.
    pub status: Option<u16>,
    /// The body of that answer.
    pub answer: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How long it took.
    pub latency_ms: u64,
}

fn as_text<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

/// All deliveries, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    count: u64,
    deliveries: Vec<Delivery>,
    at: HashMap<u64, usize>,
}

impl Log {
    pub(crate) fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Writes down a new delivery and numbers it.
    pub(crate) fn open(&mut self, parcel: &Parcel) -> u64 {
        self.count += 1;
        self.at.insert(self.count, self.deliveries.len());
        self.deliveries.push(Delivery {
            number: self.count,
            kind: parcel.webhook.kind.clone(),
            dialect: parcel.webhook.dialect,
            idempotency_key: parcel.key.clone(),
            conversation_id: parcel.conversation_id.clone(),
            message_ids: parcel.message_ids.clone(),
            batch_size: parcel.webhook.batch_size,
            origin: parcel.origin,
            webhook_id: parcel.by.as_ref().map(|(id, _)| id.clone()),
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            body: parcel.webhook.body.clone(),
        });
        self.count
    }

    pub(crate) fn add(&mut self, number: u64, attempt: Attempt) {
        if let Some(delivery) = self.get_mut(number) {
            delivery.attempts.push(attempt);
        }
    }

    pub(crate) fn close(&mut self, number: u64, state: DeliveryState) {
        if let Some(delivery) = self.get_mut(number) {
            delivery.state = state;
        }
    }

    /// Forgets what is settled; what is on its way stays.
    pub(crate) fn clear(&mut self) {
        self.deliveries.retain(|delivery| delivery.state == DeliveryState::Pending);
        self.at = self.deliveries.iter().enumerate().map(|(at, delivery)| (delivery.number, at)).collect();
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Delivery> {
        let at = *self.at.get(&number)?;
        self.deliveries.get_mut(at)
    }
}
