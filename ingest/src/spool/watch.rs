//! Tells how full the spool is: in figures, in readiness, and in alarms when it is old or fills.

use std::{sync::Arc, time::Duration};

use contract::health::Health;
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
use crate::{
    alarms::{Alarm, Alarms},
    figures::Figures,
};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From here on the spool is filling: there is as much time left as it took so far.
const FILLING_PERCENT: u64 = 50;

/// Below that it is not any more.
const FINE_PERCENT: u64 = 40;

/// Looks for ever.
pub(super) async fn watch(
    stock: Arc<Stock>,
    jobs: mpsc::Sender<Job>,
    alarm_age: Duration,
    health: Health,
    figures: Figures,
    alarms: Alarms,
) {
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
                // thread is behind, it finds out by itself, however often it was asked.
                let _ = jobs.try_send(Job::TryOut);
            }
        }
        if age > alarm_age {
            let text = format!(
                "webhooks wait in the spool for long: RabbitMQ does not take them ({}); the log says why",
                described(&level, age)
            );
            alarms.raise(Alarm::SpoolOld, text);
        } else {
            alarms.resolve(Alarm::SpoolOld);
        }
        let percent = percent(&level);
        if percent >= FILLING_PERCENT {
            let text = format!(
                "the spool is {percent} % full, and what does not fit is refused: bring RabbitMQ back, or raise \
                 BUZON_SPOOL_MAX_BYTES"
            );
            alarms.raise(Alarm::SpoolFilling, text);
        } else if percent < FINE_PERCENT {
            alarms.resolve(Alarm::SpoolFilling);
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
    match level.webhooks {
        0 if level.bytes == 0 => "empty".to_owned(),
        webhooks => format!("{webhooks} webhooks, {} % full, oldest {} s", percent(level), age.as_secs()),
    }
}

fn percent(level: &Level) -> u64 {
    level.bytes.saturating_mul(100).div_ceil(level.max_bytes.max(1))
}
