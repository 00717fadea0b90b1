//! The names of this process's figures, each in one place, with what it counts.

use metrics::{counter, gauge, histogram};
use std::time::Duration;

/// Webhooks whose transaction was committed, by what became of them.
pub(crate) fn webhooks_stored(disposition: &'static str, count: usize) {
    counter!("buzon_webhooks_stored_total", "disposition" => disposition).increment(count as u64);
}

/// Events projected.
pub(crate) fn events_projected(count: usize) {
    counter!("buzon_events_projected_total").increment(count as u64);
}

/// Items of a kind or a dialect that we do not know: archived, and nothing else.
pub(crate) fn items_not_understood(count: usize) {
    counter!("buzon_items_not_understood_total").increment(count as u64);
}

/// Dead letters made.
pub(crate) fn dead_letters_made(count: usize) {
    counter!("buzon_dead_letters_made_total").increment(count as u64);
}

/// How long one window took, from when it was its turn to its acknowledgement.
pub(crate) fn window_stored(took: Duration) {
    histogram!("buzon_window_stored_seconds").record(took);
}

/// Effects settled or put off, by kind and outcome.
pub(crate) fn effect_attempted(kind: &'static str, outcome: &'static str) {
    counter!("buzon_effects_attempted_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// Replies whose outcome nobody had seen, by what they came to.
pub(crate) fn doubt_settled(outcome: &'static str) {
    counter!("buzon_doubts_settled_total", "outcome" => outcome).increment(1);
}

/// Listings asked for about such replies, by how that ended.
pub(crate) fn doubts_listed(outcome: &'static str) {
    counter!("buzon_doubts_listed_total", "outcome" => outcome).increment(1);
}

/// Why the key of the API is held up: 1 for the reason, 0 for the others.
pub(crate) fn api_key_held(reason: Option<&str>) {
    for name in ["failing", "token_refused", "credits_exhausted", "rate_limited"] {
        let held = if reason == Some(name) { 1.0 } else { 0.0 };
        gauge!("buzon_api_key_held", "reason" => name).set(held);
    }
}

/// 1 while an outage of the database holds consumption up.
pub(crate) fn database_away(away: bool) {
    gauge!("buzon_database_away").set(if away { 1.0 } else { 0.0 });
}

/// Checks for gaps, by how they ended; and how many messages of Kapso's listing the last good
/// one found missing and did not store.
pub(crate) fn gap_checked(well: bool, open: u64) {
    counter!("buzon_gap_checks_total", "outcome" => if well { "done" } else { "failed" }).increment(1);
    if well {
        #[expect(clippy::cast_precision_loss, reason = "nobody misses 2^53 messages")]
        gauge!("buzon_gap_messages").set(open as f64);
    }
}

/// Messages that were stored from Kapso's listing.
pub(crate) fn messages_backfilled(count: u64) {
    counter!("buzon_messages_backfilled_total").increment(count);
}
