//! What the worker is told by its environment.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    str::FromStr,
    time::Duration,
};

use contract::{
    broker::Broker,
    settings::{Environment, Secret, Settings, SettingsError},
};
use reqwest::{Url, header::HeaderValue};
use sqlx::postgres::PgConnectOptions;

use crate::{
    alarms::AlarmSettings,
    consume,
    effects::{Policy, settle::Settle},
    gaps::GapSettings,
    kapso::Api,
    rules_file::RulesFile,
};

/// How many connections to Postgres unless configured.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How many deliveries one transaction takes unless configured.
const WINDOW: NonZeroUsize = NonZeroUsize::new(250).unwrap();

/// How long a stop may take unless configured, in milliseconds: shorter than the 30 s that
/// container platforms grant before they kill.
const SHUTDOWN_DEADLINE_MS: u64 = 20_000;

/// The settings of `worker run`.
pub struct RunSettings {
    /// Where Postgres is.
    pub database: PgConnectOptions,
    /// How many connections are held to it at the most.
    pub database_connections: u32,
    /// Where RabbitMQ is.
    pub broker: Broker,
    /// How it is consumed.
    pub consume: consume::Settings,
    /// How Kapso's API is called; without a token nothing is sent.
    pub api: Api,
    /// What is owed to whom, and whether it is performed.
    pub policy: Policy,
    /// Where its rule book was read from.
    pub rules: RulesFile,
    /// How replies whose outcome is unknown are settled.
    pub settle: Settle,
    /// How gaps are looked for.
    pub gaps: GapSettings,
    /// When a person is called, and how.
    pub alarms: AlarmSettings,
    /// Whether debug lines show numbers and texts as they are (`BUZON_LOG_UNMASKED`).
    pub log_unmasked: bool,
    /// Where health and figures are served.
    pub metrics_addr: SocketAddr,
    /// How long stopping may take.
    pub shutdown_deadline: Duration,
}

/// A setting that is `on` or `off`.
pub(crate) struct Switch(pub(crate) bool);

impl FromStr for Switch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

/// How many deliveries may be here unsettled. To RabbitMQ, 0 would mean "without limit".
struct Prefetch(u16);

impl FromStr for Prefetch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|prefetch| (1..=2000).contains(prefetch)).map(Self).ok_or(())
    }
}

impl RunSettings {
    /// Reads them.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        // Read for its errors alone: production and development differ in nothing here.
        Environment::read(settings)?;
        Ok(Self {
            database: database(settings)?,
            database_connections: settings
                .parsed("BUZON_DATABASE_CONNECTIONS", CONNECTIONS, "a number of connections, at least 1")?
                .get(),
            broker: Broker::from_settings(settings, "buzon-worker")?,
            consume: consume::Settings {
                prefetch: settings.parsed("BUZON_PREFETCH", Prefetch(1000), "a number from 1 to 2000")?.0,
                hold: consume::HOLD_AT_MOST,
                window: settings.parsed("BUZON_WINDOW", WINDOW, "a number of deliveries, at least 1")?.get(),
            },
            api: Api::read(settings)?,
            policy: policy(settings)?,
            rules: RulesFile::read(settings)?,
            settle: Settle::read(settings)?,
            gaps: GapSettings::read(settings)?,
            alarms: AlarmSettings::read(settings)?,
            log_unmasked: settings.parsed("BUZON_LOG_UNMASKED", Switch(false), "on or off")?.0,
            metrics_addr: metrics_addr(settings)?,
            shutdown_deadline: Duration::from_millis(settings.parsed(
                "BUZON_SHUTDOWN_DEADLINE_MS",
                SHUTDOWN_DEADLINE_MS,
                "a number of milliseconds",
            )?),
        })
    }
}

/// An address of HTTP. Its text is never shown: it can hold a password.
pub(crate) fn http_address(variable: &str, text: &str, expected: &str) -> Result<Url, SettingsError> {
    let malformed = || SettingsError::new(variable, "is malformed", format!("give {expected}"));
    let url = Url::parse(text).map_err(|_| malformed())?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(malformed());
    }
    Ok(url)
}

/// Reads for how long a takeover pauses replies.
///
/// # Errors
/// When there is something wrong with the rule book.
pub fn takeover_pause(settings: &Settings) -> Result<time::Duration, SettingsError> {
    Ok(RulesFile::read(settings)?.book()?.takeover_pause)
}

/// Reads what decides about effects.
///
/// # Errors
/// When a setting is malformed, or there is something wrong with the rule book.
pub fn policy(settings: &Settings) -> Result<Policy, SettingsError> {
    let api = Api::read(settings)?;
    let off = match (&api.token, settings.parsed("BUZON_EFFECTS", Switch(true), "on or off")?) {
        (_, Switch(false)) => Some("BUZON_EFFECTS is off"),
        (None, Switch(true)) => Some("there is no KAPSO_API_TOKEN"),
        (Some(_), Switch(true)) => None,
    };
    Ok(Policy {
        off,
        book: RulesFile::read(settings)?.book()?,
        phone_number_id: settings.text("KAPSO_PHONE_NUMBER_ID"),
        api: api.reach(),
    })
}

/// Reads `KAPSO_API_TOKEN`: it must fit into a request's header.
pub(crate) fn token(settings: &Settings) -> Result<Option<Secret>, SettingsError> {
    const VARIABLE: &str = "KAPSO_API_TOKEN";
    let token = settings.secret(VARIABLE)?;
    match &token {
        Some(secret) if HeaderValue::from_str(secret.expose()).is_err() => Err(SettingsError::new(
            VARIABLE,
            "is malformed",
            "give the API key as Kapso shows it, on one line",
        )),
        _ => Ok(token),
    }
}

/// Reads `DATABASE_URL`. Its text is never shown: it can hold a password.
///
/// # Errors
/// When it is missing or malformed.
pub fn database(settings: &Settings) -> Result<PgConnectOptions, SettingsError> {
    const REMEDY: &str = "give postgres://user:password@host:5432/database";
    let url = settings.required_secret("DATABASE_URL", REMEDY)?;
    let malformed = || SettingsError::new("DATABASE_URL", "is malformed", REMEDY);
    // sqlx takes an address of any scheme for one of Postgres.
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
    let options =
        PgConnectOptions::from_str(url.expose()).ok().filter(|_| is_postgres).ok_or_else(malformed)?;
    Ok(options.application_name("buzon-worker").options([
        // A transaction that nobody goes on with must not hold its locks.
        ("idle_in_transaction_session_timeout", "10s"),
    ]))
}

/// Reads `BUZON_WORKER_METRICS_ADDR`.
///
/// # Errors
/// When it is malformed.
pub fn metrics_addr(settings: &Settings) -> Result<SocketAddr, SettingsError> {
    let default = SocketAddr::from(([127, 0, 0, 1], 9102));
    settings.parsed("BUZON_WORKER_METRICS_ADDR", default, "an address such as 127.0.0.1:9102")
}
