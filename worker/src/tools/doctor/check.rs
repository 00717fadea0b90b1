//! The checks: each by itself, at the same time as the others, and for so long at the most.

use std::{sync::Arc, time::Duration};

use clap::ValueEnum;
use contract::settings::Settings;

use super::{api, broker, configuration, database, door, number, report::Finding, road, webhook};

/// How long a check may take. The longest waits for a test event on its way into Postgres.
const DEADLINE: Duration = Duration::from_secs(60);

/// One thing after the other that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Check {
    /// The settings, and whether they fit together
    Configuration,
    /// RabbitMQ: its queues, who consumes them, what waits in them
    Broker,
    /// Postgres: its schema, its partitions, what needs a person's attention
    Database,
    /// ingest: whether it is ready, what is in its spool, what it has refused
    Ingest,
    /// Kapso's API, with our token
    Api,
    /// Our number: whether messages come in, and may go out
    Number,
    /// The webhook as it is registered at Kapso
    Webhook,
    /// A signed test event, through the public address and into Postgres
    Road,
}

/// What every check may look at.
pub(super) struct Scope {
    /// The settings.
    pub(super) settings: Settings,
    /// Where the test event goes instead of `BUZON_PUBLIC_URL`.
    pub(super) url: Option<String>,
    /// Whether nothing outside of our own servers is asked.
    pub(super) offline: bool,
    /// Calls everything that speaks HTTP, but Kapso's API.
    pub(super) http: reqwest::Client,
}

impl Check {
    /// All of them, in the order in which they are told.
    const ALL: [Self; 8] = [
        Self::Configuration,
        Self::Broker,
        Self::Database,
        Self::Ingest,
        Self::Api,
        Self::Number,
        Self::Webhook,
        Self::Road,
    ];

    /// Those that are asked for.
    pub(super) fn chosen(only: &[Self], offline: bool) -> impl Iterator<Item = Self> {
        let wanted = move |check: &Self| only.is_empty() || only.contains(check);
        let reached =
            move |check: &Self| !(offline && matches!(check, Self::Api | Self::Number | Self::Webhook));
        Self::ALL.into_iter().filter(wanted).filter(reached)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Broker => "broker",
            Self::Database => "database",
            Self::Ingest => "ingest",
            Self::Api => "api",
            Self::Number => "number",
            Self::Webhook => "webhook",
            Self::Road => "road",
        }
    }

    /// Looks, and says what it found. One that hangs or breaks costs only itself.
    pub(super) async fn run(self, scope: Arc<Scope>) -> Vec<Finding> {
        let looking = tokio::spawn(async move {
            match self {
                Self::Configuration => configuration::look(&scope),
                Self::Broker => broker::look(&scope).await,
                Self::Database => database::look(&scope).await,
                Self::Ingest => door::look(&scope).await,
                Self::Api => api::look(&scope).await,
                Self::Number => number::look(&scope).await,
                Self::Webhook => webhook::look(&scope).await,
                Self::Road => road::look(&scope).await,
            }
        });
        let abort = looking.abort_handle();
        let unfinished = |says: String| {
            let remedy = format!("look at it alone: worker doctor --only {}", self.name());
            vec![Finding::wrong("check", says, remedy)]
        };
        match tokio::time::timeout(DEADLINE, looking).await {
            Ok(Ok(findings)) => findings,
            Ok(Err(error)) => unfinished(format!("it did not come to its end ({error})")),
            Err(_) => {
                abort.abort();
                unfinished(format!("no end after {} s", DEADLINE.as_secs()))
            }
        }
    }
}
