//! The gap detector: at start and then every hour it checks by itself, reports, and stores
//! what is missing where that is switched on. Of several workers one does it.

use std::time::Duration;

use contract::broker::Broker;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Check, GapError, GapSettings, Lock, Report, Window, check, history};
use crate::{consume, figures, kapso::Client, outage::in_time, store::Store};

/// A worker that starts does not check again what another (or itself, before a restart) has
/// just checked.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// What workers have in their hands is stored within this time, as a rule: the broker does not say how much that is.
const IN_HAND: Duration = Duration::from_secs(2);

/// How often the queue is looked at while something waits in it, or the broker is away.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Checks until `stop`. Nothing that fails here is anybody else's concern: it is logged, and
/// tried again at the next time.
pub async fn run(settings: GapSettings, broker: Broker, store: Store, stop: CancellationToken) {
    let (Some(every), Some(client)) = (settings.every, client(&settings)) else {
        return stop.cancelled().await;
    };
    let mut fresh_for = FRESH.min(every);
    loop {
        let (began, next) = (Instant::now(), Instant::now() + every);
        // At the latest when the next check is due.
        if stop.run_until_cancelled(timeout_at(next, drained(&broker))).await.is_none() {
            return;
        }
        let waited = began.elapsed();
        match once(&settings, &client, &store, &stop, fresh_for).await {
            Ok(()) | Err(GapError::Stopped) => {}
            Err(error) => {
                tracing::warn!(error = %error, "gaps could not be looked for; it is tried again");
            }
        }
        // Others look at other minutes of the hour: whoever comes first has done it for all.
        fresh_for = every.mul_f64(0.9).saturating_sub(waited);
        if stop.run_until_cancelled(sleep_until(next)).await.is_none() {
            return;
        }
    }
}

/// Waits until our queue is empty: what waits there has reached us, though it is not stored yet.
async fn drained(broker: &Broker) {
    while !matches!(consume::waiting(broker).await, Ok(0)) {
        sleep(LOOK_EVERY).await;
    }
    sleep(IN_HAND).await;
}

fn client(settings: &GapSettings) -> Option<Client> {
    settings.every?;
    let Some(token) = &settings.api.token else {
        tracing::warn!("gaps are not looked for: there is no KAPSO_API_TOKEN");
        return None;
    };
    match Client::new(settings.api.base.clone(), token) {
        Ok(client) => Some(client),
        Err(error) => {
            tracing::warn!(error = %error, "gaps are not looked for");
            None
        }
    }
}

/// One check, unless somebody else makes it or has made it lately.
async fn once(
    settings: &GapSettings,
    client: &Client,
    store: &Store,
    stop: &CancellationToken,
    fresh_for: Duration,
) -> Result<(), GapError> {
    let Some(lock) = Lock::take(&settings.database).await? else {
        tracing::debug!("somebody else looks for gaps");
        return Ok(());
    };
    let done = unless_fresh(settings, client, store, stop, fresh_for).await;
    lock.release().await;
    done
}

async fn unless_fresh(
    settings: &GapSettings,
    client: &Client,
    store: &Store,
    stop: &CancellationToken,
    fresh_for: Duration,
) -> Result<(), GapError> {
    let began = OffsetDateTime::now_utc();
    let past = in_time(history::past(&store.pool)).await?;
    if past.last_began.is_some_and(|last| began - last < fresh_for) {
        tracing::debug!("somebody else has just looked for gaps");
        return Ok(());
    }
    let Some(window) = past.next(began) else { return Ok(()) };
    let plan = Check {
        client,
        store,
        window,
        phone_number_id: settings.phone_number_id.as_deref(),
        calls_per_minute: settings.calls_per_minute,
        storing: settings.backfill,
        stop,
    };
    let mut report = Report::default();
    let done = check(&plan, &mut report, &mut |_| {}).await;
    if matches!(done, Err(GapError::Stopped)) {
        return done;
    }
    figures::gap_checked(done.is_ok(), report.missing - report.stored.min(report.missing));
    figures::messages_backfilled(report.stored);
    in_time(history::add(&store.pool, began, window, &report, done.as_ref().err())).await?;
    done?;
    tell(window, &report);
    Ok(())
}

/// One line that says it all.
fn tell(window: Window, report: &Report) {
    let Report { requests, listed, missing, missing_inbound, behind, stored, advanced, .. } = *report;
    let left_alone = report.left_alone();
    let (since, until) = (shown(Some(window.since)), shown(Some(window.until)));
    if missing == 0 {
        tracing::info!(
            gap.since = since,
            gap.until = until,
            requests,
            listed,
            behind,
            advanced,
            left_alone,
            "no gap: every message that Kapso lists has reached us"
        );
        return;
    }
    let by_hand = || format!("worker backfill --since {}", shown(report.oldest));
    let todo = if stored == missing { "nothing".to_owned() } else { by_hand() };
    tracing::warn!(
        gap.since = since,
        gap.until = until,
        requests,
        listed,
        missing,
        missing_inbound,
        stored,
        behind,
        advanced,
        left_alone,
        gap.oldest = shown(report.oldest),
        gap.newest = shown(report.newest),
        todo,
        "gap: messages never reached us"
    );
}

fn shown(at: Option<OffsetDateTime>) -> String {
    use time::format_description::well_known::Rfc3339;
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
