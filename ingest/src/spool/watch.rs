//! Tells how full the spool is: in figures, in readiness, and in an alarm when it is old.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{health::Health, nag::Nag};
use time::OffsetDateTime;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    HEALTH_PART,
    stock::{Level, Stock},
    writer::Job,
};
use crate::figures::Figures;

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for ever.
pub(super) async fn watch(
    stock: Arc<Stock>,
    jobs: mpsc::Sender<Job>,
    alarm_age: Duration,
    health: Health,
    figures: Figures,
) {
    let mut nag = Nag::default();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let level = stock.level();
        let age = age(&level);
        figures.spool(level.webhooks, level.bytes, level.max_bytes, age);
        match level.trouble {
            None => health.fine_with(HEALTH_PART, described(&level, age)),
            Some(why) => {
                health.ailing(HEALTH_PART, format!("{why}: {}", described(&level, age)));
                // Without traffic nobody else would find out that the disk works again. When the
                // thread is behind, it finds out by itself.
                let _ = jobs.try_send(Job::TryOut);
            }
        }
        if age > alarm_age && nag.is_due("old", Instant::now()) {
            tracing::error!(
                spool.webhooks = level.webhooks,
                spool.bytes = level.bytes,
                spool.oldest_seconds = age.as_secs(),
                "webhooks wait in the spool for long: RabbitMQ does not take them"
            );
        }
    }
}

fn age(level: &Level) -> Duration {
    let oldest = level.oldest.map(|oldest| OffsetDateTime::now_utc() - oldest);
    // A clock that was set back makes nothing old.
    oldest.and_then(|age| age.try_into().ok()).unwrap_or_default()
}

/// Such as `3 webhooks, 12 % full, oldest 40 s`.
fn described(level: &Level, age: Duration) -> String {
    let percent = level.bytes.saturating_mul(100).div_ceil(level.max_bytes.max(1));
    match level.webhooks {
        0 if level.bytes == 0 => "empty".to_owned(),
        webhooks => format!("{webhooks} webhooks, {percent} % full, oldest {} s", age.as_secs()),
    }
}
