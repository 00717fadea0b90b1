//! The figures that `ingest` keeps: their names, their units, and nothing else.

use std::{sync::Arc, time::Duration};

use actix_web::http::StatusCode;
use contract::signature::Refused;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::{publish::Unconfirmed, spool::NotStored};

const RECEIVED: &str = "buzon_webhooks_received_total";
const UNAUTHENTICATED: &str = "buzon_webhooks_unauthenticated_total";
const CONFIRMED: &str = "buzon_webhooks_confirmed_total";
const FAILED: &str = "buzon_publishes_failed_total";
const PUBLISH_SECONDS: &str = "buzon_publish_seconds";
const BODY_BYTES: &str = "buzon_body_bytes";
const CONNECTED: &str = "buzon_broker_connected";
const BLOCKED: &str = "buzon_broker_blocked";
const SPOOLING: &str = "buzon_spooling";
const SPOOLED: &str = "buzon_webhooks_spooled_total";
const DRAINED: &str = "buzon_webhooks_drained_total";
const SPOOL_FAILED: &str = "buzon_spool_failures_total";
const UNREADABLE: &str = "buzon_spool_unreadable_total";
const SPOOL_WEBHOOKS: &str = "buzon_spool_webhooks";
const SPOOL_BYTES: &str = "buzon_spool_bytes";
const SPOOL_MAX_BYTES: &str = "buzon_spool_max_bytes";
const SPOOL_OLDEST: &str = "buzon_spool_oldest_seconds";
const LOG_LEFT_OUT: &str = "buzon_log_lines_left_out_total";

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

/// Why a webhook is not authentic, as the figures name it.
const NOT_AUTHENTIC: [&str; 4] = ["missing", "invalid", "duplicate", "rewritten"];

/// Handles to all figures, looked up once: counting costs an atomic addition.
#[derive(Clone)]
pub struct Figures {
    received: Arc<[(StatusCode, Counter)]>,
    unauthenticated: Arc<[(&'static str, Counter)]>,
    failed: Arc<[(Unconfirmed, Counter)]>,
    confirmed: Counter,
    publish_seconds: Histogram,
    body_bytes: Gauge,
    connected: Gauge,
    blocked: Gauge,
    spooling: Gauge,
    spooled: Counter,
    drained: Counter,
    spool_failed: Arc<[(NotStored, Counter)]>,
    unreadable: Counter,
    spool_webhooks: Gauge,
    spool_bytes: Gauge,
    spool_max_bytes: Gauge,
    spool_oldest: Gauge,
    log_left_out: Counter,
}

impl Figures {
    /// Registers every figure. Call it after the recorder is installed; before, they go nowhere.
    #[must_use]
    pub fn register() -> Self {
        describe_counter!(RECEIVED, "Webhooks that were answered, by HTTP status");
        describe_counter!(UNAUTHENTICATED, "Webhooks answered 401, by what is wrong with their signature");
        describe_counter!(CONFIRMED, "Webhooks that the broker confirmed before they were answered");
        describe_counter!(FAILED, "Webhooks that the broker did not confirm in time, by reason");
        describe_histogram!(PUBLISH_SECONDS, Unit::Seconds, "From a webhook's publish to its confirm");
        describe_gauge!(BODY_BYTES, Unit::Bytes, "Body bytes held by requests now");
        describe_gauge!(CONNECTED, "Whether the broker is connected");
        describe_gauge!(BLOCKED, "Whether the broker blocks publishing (memory or disk alarm)");
        describe_counter!(LOG_LEFT_OUT, "Lines left out of the log, since whoever reads it was too slow");
        describe_spool();
        Self {
            received: STATUSES
                .map(|status| (status, counter!(RECEIVED, "status" => status.as_str().to_owned())))
                .into(),
            unauthenticated: NOT_AUTHENTIC
                .map(|reason| (reason, counter!(UNAUTHENTICATED, "reason" => reason)))
                .into(),
            failed: Unconfirmed::ALL.map(|why| (why, counter!(FAILED, "reason" => why.label()))).into(),
            confirmed: counter!(CONFIRMED),
            publish_seconds: histogram!(PUBLISH_SECONDS),
            body_bytes: gauge!(BODY_BYTES),
            connected: gauge!(CONNECTED),
            blocked: gauge!(BLOCKED),
            spooling: gauge!(SPOOLING),
            spooled: counter!(SPOOLED),
            drained: counter!(DRAINED),
            spool_failed: NotStored::ALL
                .map(|why| (why, counter!(SPOOL_FAILED, "reason" => why.label())))
                .into(),
            unreadable: counter!(UNREADABLE),
            spool_webhooks: gauge!(SPOOL_WEBHOOKS),
            spool_bytes: gauge!(SPOOL_BYTES),
            spool_max_bytes: gauge!(SPOOL_MAX_BYTES),
            spool_oldest: gauge!(SPOOL_OLDEST),
            log_left_out: counter!(LOG_LEFT_OUT),
        }
    }

    /// How many lines of the log have been left out since the start.
    pub(crate) fn log_left_out(&self, lines: u64) {
        self.log_left_out.absolute(lines);
    }

    pub(crate) fn received(&self, status: StatusCode) {
        if let Some((_, counter)) = self.received.iter().find(|(known, _)| *known == status) {
            counter.increment(1);
        }
    }

    /// A webhook was refused for its signature; `rewritten`: which fits its content in another form.
    pub(crate) fn unauthenticated(&self, refused: Refused, rewritten: bool) {
        let reason = match refused {
            Refused::Missing => "missing",
            Refused::Invalid if rewritten => "rewritten",
            Refused::Invalid => "invalid",
            Refused::Repeated(_) => "duplicate",
        };
        if let Some((_, counter)) = self.unauthenticated.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }

    pub(crate) fn published(&self, outcome: Result<(), Unconfirmed>, took: Duration) {
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

    pub(crate) fn spooling(&self, yes: bool) {
        self.spooling.set(f64::from(u8::from(yes)));
    }

    pub(crate) fn spooled(&self, outcome: Result<(), NotStored>) {
        match outcome {
            Ok(()) => self.spooled.increment(1),
            Err(why) => {
                if let Some((_, counter)) = self.spool_failed.iter().find(|(known, _)| *known == why) {
                    counter.increment(1);
                }
            }
        }
    }

    pub(crate) fn drained(&self) {
        self.drained.increment(1);
    }

    pub(crate) fn spool_unreadable(&self) {
        self.unreadable.increment(1);
    }

    pub(crate) fn spool(&self, webhooks: u64, bytes: u64, max_bytes: u64, oldest: Duration) {
        self.spool_webhooks.set(webhooks as f64);
        self.spool_bytes.set(bytes as f64);
        self.spool_max_bytes.set(max_bytes as f64);
        self.spool_oldest.set(oldest);
    }
}

fn describe_spool() {
    describe_gauge!(SPOOLING, "Whether webhooks go into the spool, since the broker is not well");
    describe_counter!(SPOOLED, "Webhooks that were stored in the spool");
    describe_counter!(DRAINED, "Webhooks that went from the spool to the broker");
    describe_counter!(SPOOL_FAILED, "Webhooks that the spool did not store, by reason");
    describe_counter!(UNREADABLE, "Parts of the spool that can't be read");
    describe_gauge!(SPOOL_WEBHOOKS, "Webhooks in the spool");
    describe_gauge!(SPOOL_BYTES, Unit::Bytes, "Bytes of the spool on the disk");
    describe_gauge!(SPOOL_MAX_BYTES, Unit::Bytes, "Bytes that the spool may take");
    describe_gauge!(SPOOL_OLDEST, Unit::Seconds, "Age of the oldest webhook in the spool");
}
