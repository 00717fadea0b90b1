//! Tells whoever is to be told of alarms, and keeps the figures. It has a task of its own: a
//! receiver that does not answer holds up nothing but the next notice.

use std::time::Duration;

use contract::alarm::{self, Notice, Receiver, State, Telling};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Alarm, AlarmSettings,
    table::{self, Due},
};
use crate::outage::in_time;

/// How often the table is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells until `stop`.
pub(super) async fn run(settings: &AlarmSettings, pool: PgPool, stop: CancellationToken) {
    let Some(every) = settings.every else { return stop.cancelled().await };
    while !stop.is_cancelled() {
        let done = async {
            if let Err(error) = once(settings, &pool).await {
                tracing::debug!(error = %error, "the alarms could not be read");
            }
            sleep(LOOK_EVERY.min(every)).await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = done => {}
        }
    }
}

async fn once(settings: &AlarmSettings, pool: &PgPool) -> sqlx::Result<()> {
    let raised = in_time(table::raised(pool)).await?;
    for alarm in Alarm::ALL {
        alarm::figure(alarm.name(), raised.iter().any(|name| name == alarm.name()));
    }
    let Some(receiver) = &settings.receiver else { return Ok(()) };
    while let Some(due) = in_time(table::lease(pool)).await? {
        let telling = tell(receiver, &due, settings.repeat).await;
        in_time(table::told(pool, &due, telling)).await?;
    }
    Ok(())
}

/// Tells one notice; where the telling of it stands then.
async fn tell(receiver: &Receiver, due: &Due, repeat: Option<Duration>) -> Telling {
    let state = if due.resolved_at.is_some() { State::Resolved } else { State::Raised };
    let notice = Notice {
        alarm: &due.alarm,
        state,
        since: due.raised_at,
        until: due.resolved_at,
        text: &due.text,
        source: "worker",
    };
    let before = Telling { due: None, told: true, failures: due.failures.try_into().unwrap_or_default() };
    match receiver.tell(&notice).await {
        Ok(()) => before.succeeded(OffsetDateTime::now_utc(), repeat.filter(|_| state == State::Raised)),
        Err(error) => {
            let telling = before.failed(OffsetDateTime::now_utc());
            tracing::warn!(alarm = due.alarm, error = %error, failures = telling.failures,
                "BUZON_ALERT_URL did not take an alarm; it is told again later");
            telling
        }
    }
}
