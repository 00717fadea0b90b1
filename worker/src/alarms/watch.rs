//! Looks for reasons to raise an alarm, as long as the worker runs. Nothing that fails here is
//! anybody else's concern.

use std::time::{Duration, Instant};

use contract::nag::Nag;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    Alarm, AlarmSettings, Verdict, backlog,
    looks::{self, Look},
    number,
    rows::{self, Keys},
    silence,
    table::{self, Change},
    webhook,
};
use crate::{
    consume,
    gaps::numbers,
    kapso::platform::{Platform, PlatformError},
    outage::in_time,
};

/// While an alarm about our webhook or number is raised, Kapso is asked this often: whoever mends it wants
/// to see it mended.
const WHILE_RAISED: Duration = Duration::from_secs(5 * 60);

struct Watch<'a> {
    settings: &'a AlarmSettings,
    pool: &'a PgPool,
    platform: Option<Platform>,
    keys: Option<Keys>,
    nag: Nag,
}

/// Looks until `stop`.
pub(super) async fn run(settings: &AlarmSettings, pool: PgPool, stop: CancellationToken) {
    let Some(every) = settings.every else { return stop.cancelled().await };
    let token = settings.api.token.as_ref();
    let platform = token.zip(settings.platform.clone());
    let platform = platform.and_then(|(token, base)| Platform::new(base, token).ok());
    let keys = settings.api.client().ok().flatten().map(|client| Keys {
        own: client.key_id().to_owned(),
        by_proxy: client.proxy_key_id().map(str::to_owned),
    });
    let mut watch = Watch { settings, pool: &pool, platform, keys, nag: Nag::default() };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = watch.once(every) => {}
        }
    }
}

impl Watch<'_> {
    async fn once(&mut self, every: Duration) {
        // Others look at other moments: whoever comes first has done it for all.
        let looked = in_time(self.at_ours(every.mul_f64(0.9))).await;
        self.tell("our queue and tables", looked);
        let looked = in_time(self.at_the_webhook()).await;
        self.tell("our webhook", looked);
    }

    fn tell(&mut self, what: &'static str, looked: sqlx::Result<()>) {
        match looked {
            Ok(()) => {}
            // What Postgres does not like about a question is nobody's outage, and would be
            // told by nobody else.
            Err(error @ sqlx::Error::Database(_)) => {
                if self.nag.is_due(what, Instant::now()) {
                    tracing::warn!(error = %error, what, "alarms could not be looked for; it is tried again");
                }
            }
            // An outage is told where it matters: by those who store.
            Err(error) => tracing::debug!(error = %error, what, "alarms could not be looked for"),
        }
    }

    async fn at_ours(&self, fresh: Duration) -> sqlx::Result<()> {
        let Some(seen) = looks::claim(self.pool, Look::Ours, fresh).await? else { return Ok(()) };
        let fine = Ok(Verdict::Fine);
        let verdicts = [
            (Alarm::DeadLetters, rows::dead_letters(self.pool).await),
            (
                Alarm::TokenRefused,
                match &self.keys {
                    Some(keys) => rows::token(self.pool, keys).await,
                    None => Ok(Verdict::Fine),
                },
            ),
            (
                Alarm::CreditsExhausted,
                match &self.keys {
                    Some(keys) => rows::credits(self.pool, keys).await,
                    None => Ok(Verdict::Fine),
                },
            ),
            (Alarm::Silence, if self.settings.silence { silence::look(self.pool).await } else { fine }),
            (
                Alarm::Backlog,
                match self.settings.backlog {
                    Some(limit) => self.backlog(seen, limit).await,
                    None => Ok(Verdict::Fine),
                },
            ),
        ];
        // One that could not be seen hides none of the others.
        let mut failed = Ok(());
        for (alarm, verdict) in verdicts {
            match verdict {
                Ok(verdict) => self.note(alarm, verdict).await?,
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    async fn backlog(&self, seen: Vec<u32>, limit: u32) -> sqlx::Result<Verdict> {
        match consume::waiting(&self.settings.broker).await {
            Ok(length) => {
                let seen = backlog::with(seen, length);
                looks::keep(self.pool, Look::Ours, &seen).await?;
                Ok(backlog::judge(&seen, limit))
            }
            Err(error) => {
                tracing::debug!(error = %error, "the queue could not be looked at");
                Ok(Verdict::Unknown)
            }
        }
    }

    async fn at_the_webhook(&mut self) -> sqlx::Result<()> {
        let (Some(every), Some(platform)) = (self.settings.webhook_every, &self.platform) else {
            return Ok(());
        };
        let raised = table::raised(self.pool).await?;
        let is_raised = Alarm::AT_KAPSO.iter().any(|alarm| raised.iter().any(|name| name == alarm.name()));
        let fresh = if is_raised { every.min(WHILE_RAISED) } else { every };
        if looks::claim(self.pool, Look::Webhook, fresh).await?.is_none() {
            return Ok(());
        }
        let ours = numbers::ours(self.pool, self.settings.phone_number_id.as_deref()).await?;
        if ours.is_empty() {
            return Ok(());
        }
        // What one of the two can't say, the other may.
        let webhook = webhook::look(self.settings, platform, &ours).await;
        let number = number::look(platform, &ours).await;
        let (webhook, number) = (self.seen("our webhook", webhook), self.seen("our numbers", number));
        if let Some(seen) = webhook {
            self.note(Alarm::WebhookPaused, seen.paused).await?;
            self.note(Alarm::WebhookWrong, seen.wrong).await?;
        }
        if let Some(seen) = number {
            self.note(Alarm::NumberBlocked, seen.blocked).await?;
            self.note(Alarm::InboundOff, seen.inbound_off).await?;
        }
        Ok(())
    }

    /// What was seen at Kapso; else why nothing was is logged.
    fn seen<T>(&mut self, what: &'static str, looked: Result<T, PlatformError>) -> Option<T> {
        looked
            .inspect_err(|error| {
                let why = error.to_string();
                if self.nag.is_due(&why, Instant::now()) {
                    tracing::warn!(error = why, what, "Kapso could not be asked; it is tried again");
                }
            })
            .ok()
    }

    async fn note(&self, alarm: Alarm, verdict: Verdict) -> sqlx::Result<()> {
        let change = table::note(self.pool, alarm, &verdict).await?;
        let alarm = alarm.name();
        match (change, verdict) {
            (Change::Raised, Verdict::Raised(text)) => tracing::error!(alarm, text, "alarm raised"),
            (Change::Lasts, Verdict::Raised(text)) => tracing::error!(alarm, text, "alarm still raised"),
            (Change::Resolved, _) => tracing::info!(alarm, "alarm resolved"),
            _ => {}
        }
        Ok(())
    }
}
