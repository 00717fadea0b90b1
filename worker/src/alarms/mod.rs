//! Alarms: what a person has to see to.
//!
//! Every worker [`watch`]es, and of several one looks at a time; what it finds is written to the
//! table `alarms` ([`table`]), whose row decides who logs and who tells. [`notify`] tells
//! `BUZON_ALERT_URL`, in a task of its own: nothing waits for whoever is told.
//!
//! ```text
//! webhook, number ─┐
//! at Kapso         │
//! queue (RabbitMQ) ┼─► watch ─► Verdict ─► table alarms ─► notify ─► BUZON_ALERT_URL
//! rows (Postgres) ─┘                            └─► log, figures
//! ```

mod backlog;
mod looks;
mod notify;
mod number;
mod rows;
mod settings;
mod silence;
mod table;
mod watch;
mod webhook;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use settings::AlarmSettings;

/// Watches and tells until `stop`.
pub async fn run(settings: AlarmSettings, pool: PgPool, stop: CancellationToken) {
    tokio::join!(
        watch::run(&settings, pool.clone(), stop.clone()),
        notify::run(&settings, pool.clone(), stop.clone()),
    );
}

/// The name of an alarm of the worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Kapso has paused our webhook.
    WebhookPaused,
    /// Our webhook is registered in a way in which messages do not come.
    WebhookWrong,
    /// No webhook for longer than is usual at this time of the week.
    Silence,
    /// The queue is long, and grows.
    Backlog,
    /// Dead letters wait for somebody.
    DeadLetters,
    /// Kapso refuses the token.
    TokenRefused,
    /// The project has no credits left at Kapso.
    CreditsExhausted,
    /// Meta lets one of our numbers send nothing.
    NumberBlocked,
    /// Kapso processes nothing that is written to one of our numbers.
    InboundOff,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WebhookPaused,
        Self::WebhookWrong,
        Self::Silence,
        Self::Backlog,
        Self::DeadLetters,
        Self::TokenRefused,
        Self::CreditsExhausted,
        Self::NumberBlocked,
        Self::InboundOff,
    ];

    /// Those that only Kapso can say anything of.
    const AT_KAPSO: [Self; 4] =
        [Self::WebhookPaused, Self::WebhookWrong, Self::NumberBlocked, Self::InboundOff];

    /// As tables, figures and receivers have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebhookPaused => "webhook_paused",
            Self::WebhookWrong => "webhook_wrong",
            Self::Silence => "silence",
            Self::Backlog => "backlog",
            Self::DeadLetters => "dead_letters",
            Self::TokenRefused => "token_refused",
            Self::CreditsExhausted => "credits_exhausted",
            Self::NumberBlocked => "number_blocked",
            Self::InboundOff => "inbound_off",
        }
    }
}

/// What a look says of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no reason for it.
    Fine,
    /// There is: what is wrong, and what to do. It names no secret, number or text of a message.
    Raised(String),
    /// Nothing could be seen: it stays as it is.
    Unknown,
}

impl Verdict {
    /// Raised where there is something to say.
    fn of(text: Option<String>) -> Self {
        text.map_or(Self::Fine, Self::Raised)
    }
}
