//! The figures that `ingest` keeps: their names, their units, and nothing else.

use std::{sync::Arc, time::Duration};

use actix_web::http::StatusCode;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::publish::NotDurable;

const RECEIVED: &str = "buzon_webhooks_received_total";
const CONFIRMED: &str = "buzon_webhooks_confirmed_total";
const FAILED: &str = "buzon_publishes_failed_total";
const PUBLISH_SECONDS: &str = "buzon_publish_seconds";
const BODY_BYTES: &str = "buzon_body_bytes";
const CONNECTED: &str = "buzon_broker_connected";
const BLOCKED: &str = "buzon_broker_blocked";

/// Every status that the door answers a webhook with.
const STATUSES: [StatusCode; 7] = [
    StatusCode::OK,
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Handles to all figures, looked up once: counting costs an atomic addition.
#[derive(Clone)]
pub struct Figures {
    received: Arc<[(StatusCode, Counter)]>,
    failed: Arc<[(NotDurable, Counter)]>,
    confirmed: Counter,
    publish_seconds: Histogram,
    body_bytes: Gauge,
    connected: Gauge,
    blocked: Gauge,
}

impl Figures {
    /// Registers every figure. Call it after the recorder is installed; before, they go nowhere.
    #[must_use]
    pub fn register() -> Self {
        describe_counter!(RECEIVED, "Webhooks that were answered, by HTTP status");
        describe_counter!(CONFIRMED, "Webhooks that the broker confirmed");
        describe_counter!(FAILED, "Webhooks that did not become durable, by reason");
        describe_histogram!(PUBLISH_SECONDS, Unit::Seconds, "From a webhook's publish to its confirm");
        describe_gauge!(BODY_BYTES, Unit::Bytes, "Body bytes held by requests now");
        describe_gauge!(CONNECTED, "Whether the broker is connected");
        describe_gauge!(BLOCKED, "Whether the broker blocks publishing (memory or disk alarm)");
        Self {
            received: STATUSES
                .map(|status| (status, counter!(RECEIVED, "status" => status.as_str().to_owned())))
                .into(),
            failed: NotDurable::ALL.map(|why| (why, counter!(FAILED, "reason" => why.label()))).into(),
            confirmed: counter!(CONFIRMED),
            publish_seconds: histogram!(PUBLISH_SECONDS),
            body_bytes: gauge!(BODY_BYTES),
            connected: gauge!(CONNECTED),
            blocked: gauge!(BLOCKED),
        }
    }

    pub(crate) fn received(&self, status: StatusCode) {
        if let Some((_, counter)) = self.received.iter().find(|(known, _)| *known == status) {
            counter.increment(1);
        }
    }

    pub(crate) fn published(&self, outcome: Result<(), NotDurable>, took: Duration) {
        match outcome {
            Ok(()) => {
                self.confirmed.increment(1);
                self.publish_seconds.record(took);
            }
            Err(why) => {
                if let Some((_, counter)) = self.failed.iter().find(|(known, _)| *known == why) {
                    counter.increment(1);
                }
            }
        }
    }

    /// The gauge of body bytes, for the budget that keeps it.
    pub(crate) fn body_bytes(&self) -> Gauge {
        self.body_bytes.clone()
    }

    pub(crate) fn broker_connected(&self, yes: bool) {
        self.connected.set(f64::from(u8::from(yes)));
        if !yes {
            self.blocked.set(0.0);
        }
    }

    pub(crate) fn broker_blocked(&self, yes: bool) {
        self.blocked.set(f64::from(u8::from(yes)));
    }
}
