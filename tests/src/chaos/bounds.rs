//! What times and unknown outcomes may come to, on a machine that is busy with much else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::fault::Fault;
use super::ledger::Ledger;
use super::plan::Strike;
use super::verdict::Verdict;

/// What ingest promises: an answer within this, whatever is down.
const ANSWER_DEADLINE: Duration = Duration::from_millis(2_500);

/// What two cores that also start servers may add to an answer, beyond what is measured (see [`pulse`]).
const TOLERANCE: Duration = Duration::from_secs(1);

/// How many requests to Kapso both workers have under way at the most (256 each), and how long each may take.
const REQUESTS_AT_ONCE: u64 = 2 * 256;
const REQUEST_TIMEOUT_SECONDS: u64 = 10;

/// Answers in time, and no more unknown outcomes than there can be.
pub(super) fn judge(ledger: &Ledger, verdict: &mut Verdict) {
    let windows = ledger.book().windows.clone();
    for (nth, window) in windows.iter().enumerate() {
        let allowed = ANSWER_DEADLINE + TOLERANCE + window.lateness;
        if window.longest > allowed {
            let (took, label) = (window.longest.as_secs_f64(), window.label());
            verdict.wrong(
                "answers that took too long",
                format!("{took:.2} s of {:.2} s, fault {nth}: {label}", allowed.as_secs_f64()),
            );
        }
        let strikes_ingest = window.fault.is_some_and(Fault::strikes_ingest);
        let owed = window.silent + if strikes_ingest { 0 } else { window.unanswered };
        if owed > 0 {
            verdict.wrong(
                "requests that ingest did not answer",
                format!("{owed}, fault {nth}: {}", window.label()),
            );
        }
    }
    let may_hide: u64 = windows.iter().map(|window| window.may_hide).sum();
    let unknown: u64 = verdict.fates.values().map(|fate| fate.unknown).sum();
    if unknown > may_hide {
        verdict.wrong("more unknown outcomes than the faults explain", format!("{unknown} of {may_hide}"));
    }
}

/// How many outcomes a fault can hide: all requests that are under way, and those that follow while it lasts.
pub(super) fn may_hide(strike: &Strike) -> u64 {
    let rounds = 1 + strike.hold.as_secs().div_ceil(REQUEST_TIMEOUT_SECONDS);
    if strike.fault.hides_outcomes() { rounds * REQUESTS_AT_ONCE } else { 0 }
}

/// Sleeps for a moment again and again, and notes how late it was woken: whoever measures answers here is as late.
pub(super) async fn pulse(ledger: Arc<Ledger>) {
    const BEAT: Duration = Duration::from_millis(50);
    loop {
        let due = Instant::now() + BEAT;
        sleep_until(due).await;
        ledger.late(due.elapsed());
    }
}
