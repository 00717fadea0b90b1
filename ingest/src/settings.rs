//! What can be set, with its default and its unit.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use contract::{
    alarm::{self, Receiver},
    broker::Broker,
    secrets,
    settings::{Environment, Secret, Settings, SettingsError},
    signature::Keys,
};

use crate::spool;

/// The largest body unless configured, in bytes: Kapso batches up to 100 messages, Meta sends up to 3 MB.
const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;

/// The most body bytes held at once unless configured, over all requests.
const MAX_INFLIGHT_BYTES: usize = 64 * 1024 * 1024;

/// How long a body may take to arrive unless configured, in milliseconds.
const BODY_DEADLINE_MS: u64 = 5_000;

/// How long a stop may take unless configured, in milliseconds: shorter than the 30 s that
/// container platforms grant before they kill.
const SHUTDOWN_DEADLINE_MS: u64 = 20_000;

/// Where the spool is unless configured: in the working directory.
const SPOOL_DIRECTORY: &str = "buzon-spool";

/// The most bytes in the spool unless configured: a million webhooks, or more.
const SPOOL_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// When what waits in the spool raises an alarm unless configured, in seconds: while replies
/// are still young enough to be sent.
const SPOOL_ALARM_SECONDS: u64 = 300;

/// Everything that `ingest` is told from outside.
pub struct IngestSettings {
    /// Where webhooks come in (`INGEST_ADDR`).
    pub address: SocketAddr,
    /// Where figures are read (`BUZON_INGEST_METRICS_ADDR`).
    pub metrics_address: SocketAddr,
    /// Where the broker is (`AMQP_URL`).
    pub broker: Broker,
    /// What opens the door.
    pub keys: Keys,
    /// What Meta's handshake must present (`KAPSO_META_VERIFY_TOKEN`).
    pub verify_token: Option<Secret>,
    /// How much a request may bring and take.
    pub limits: Limits,
    /// Where webhooks wait for the broker.
    pub spool: spool::Settings,
    /// Who is told of alarms (`BUZON_ALERT_URL`).
    pub receiver: Option<Receiver>,
    /// How often what lasts is told again (`BUZON_ALERT_REPEAT_MINUTES`); none: never.
    pub repeat: Option<Duration>,
    /// How long a stop may take (`BUZON_SHUTDOWN_DEADLINE_MS`).
    pub shutdown_deadline: Duration,
}

/// How much of our memory and time a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes (`BUZON_MAX_BODY_BYTES`).
    pub body_bytes: usize,
    /// The most body bytes held at once, over all requests (`BUZON_MAX_INFLIGHT_BYTES`).
    pub inflight_bytes: usize,
    /// How long a body may take to arrive (`BUZON_BODY_DEADLINE_MS`).
    pub body_deadline: Duration,
}

impl IngestSettings {
    /// Reads them all.
    ///
    /// # Errors
    /// The first one that is missing or malformed, with the remedy.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let limits = Limits::read(settings)?;
        Ok(Self {
            address: address(settings)?,
            metrics_address: settings.parsed(
                "BUZON_INGEST_METRICS_ADDR",
                SocketAddr::from(([127, 0, 0, 1], 9101)),
                "an address such as 127.0.0.1:9101",
            )?,
            broker: Broker::from_settings(settings, "buzon-ingest")?,
            keys: keys(settings)?,
            verify_token: settings.secret("KAPSO_META_VERIFY_TOKEN")?,
            spool: spool(settings, &limits)?,
            receiver: Receiver::read(settings)?,
            repeat: alarm::repeat(settings)?,
            limits,
            shutdown_deadline: milliseconds(settings, "BUZON_SHUTDOWN_DEADLINE_MS", SHUTDOWN_DEADLINE_MS)?,
        })
    }
}

impl Limits {
    fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let body_bytes = settings.parsed("BUZON_MAX_BODY_BYTES", MAX_BODY_BYTES, "a number of bytes")?;
        let inflight_bytes =
            settings.parsed("BUZON_MAX_INFLIGHT_BYTES", MAX_INFLIGHT_BYTES, "a number of bytes")?;
        if inflight_bytes < body_bytes {
            let remedy = "give at least that much, or no body of the largest size ever fits";
            return Err(SettingsError::new(
                "BUZON_MAX_INFLIGHT_BYTES",
                "is less than BUZON_MAX_BODY_BYTES",
                remedy,
            ));
        }
        let body_deadline = milliseconds(settings, "BUZON_BODY_DEADLINE_MS", BODY_DEADLINE_MS)?;
        Ok(Self { body_bytes, inflight_bytes, body_deadline })
    }
}

fn spool(settings: &Settings, limits: &Limits) -> Result<spool::Settings, SettingsError> {
    let directory = settings.text("BUZON_SPOOL_DIR").unwrap_or_else(|| SPOOL_DIRECTORY.to_owned());
    let max_bytes = settings.parsed("BUZON_SPOOL_MAX_BYTES", SPOOL_MAX_BYTES, "a number of bytes")?;
    if max_bytes < limits.body_bytes as u64 {
        let remedy = "give at least that much, or a body of the largest size never fits";
        return Err(SettingsError::new("BUZON_SPOOL_MAX_BYTES", "is less than BUZON_MAX_BODY_BYTES", remedy));
    }
    let age = settings.parsed("BUZON_SPOOL_ALARM_SECONDS", SPOOL_ALARM_SECONDS, "a number of seconds")?;
    Ok(spool::Settings {
        directory: PathBuf::from(directory),
        max_bytes,
        alarm_age: Duration::from_secs(age),
    })
}

/// Where webhooks come in: all that `healthcheck` has to know.
///
/// # Errors
/// When `INGEST_ADDR` is malformed.
pub fn address(settings: &Settings) -> Result<SocketAddr, SettingsError> {
    settings.parsed("INGEST_ADDR", SocketAddr::from(([0, 0, 0, 0], 8000)), "an address such as 0.0.0.0:8000")
}

/// The secrets that open the door. None at all is a door that stands open: for local trials only.
fn keys(settings: &Settings) -> Result<Keys, SettingsError> {
    let secrets = secrets::webhook(settings)?;
    let keys = Keys::new(&secrets, secrets::meta_app(settings)?.as_ref());
    if Environment::read(settings)? == Environment::Production && keys.is_empty() {
        return Err(SettingsError::new(
            "KAPSO_WEBHOOK_SECRET",
            "is not set, so anybody could send webhooks",
            "give the secret of the webhook in Kapso (for a trial without one: BUZON_ENV=development)",
        ));
    }
    Ok(keys)
}

fn milliseconds(settings: &Settings, variable: &str, default: u64) -> Result<Duration, SettingsError> {
    settings.parsed(variable, default, "a number of milliseconds").map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<IngestSettings, String> {
        let values = [("AMQP_URL", "amqp://guest:guest@localhost")].iter().chain(more);
        let settings = Settings::from_values(values.map(|(name, value)| (*name, *value))).unwrap();
        IngestSettings::read(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_door_without_a_secret_opens_in_development_only() {
        for more in [&[][..], &[("KAPSO_WEBHOOK_SECRET", "")], &[("KAPSO_WEBHOOK_SECRETS", " \n ")]] {
            let error = read(more).err().unwrap();
            assert!(error.starts_with("KAPSO_WEBHOOK_SECRET is not set"), "{error}");
        }
        assert!(read(&[("BUZON_ENV", "development")]).unwrap().keys.is_empty());
    }

    #[test]
    fn each_kind_of_secret_is_enough() {
        for name in ["KAPSO_WEBHOOK_SECRET", "KAPSO_WEBHOOK_SECRETS", "KAPSO_META_APP_SECRET"] {
            assert!(!read(&[(name, "s3cret")]).unwrap().keys.is_empty(), "{name}");
        }
    }

    #[test]
    fn secrets_add_up() {
        let keys =
            read(&[("KAPSO_WEBHOOK_SECRET", "a b"), ("KAPSO_WEBHOOK_SECRETS", "c\td\n")]).unwrap().keys;
        assert_eq!(format!("{keys:?}"), "Keys { webhook: 3, meta_app: false }");
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let secret = ("KAPSO_WEBHOOK_SECRET", "s3cret");
        let error = read(&[secret, ("BUZON_MAX_INFLIGHT_BYTES", "1000")]).err().unwrap();
        assert!(error.starts_with("BUZON_MAX_INFLIGHT_BYTES is less than BUZON_MAX_BODY_BYTES"), "{error}");
        let error = read(&[secret, ("BUZON_SPOOL_MAX_BYTES", "1000")]).err().unwrap();
        assert!(error.starts_with("BUZON_SPOOL_MAX_BYTES is less than BUZON_MAX_BODY_BYTES"), "{error}");
        let error = read(&[secret, ("BUZON_BODY_DEADLINE_MS", "5s")]).err().unwrap();
        assert_eq!(error, "BUZON_BODY_DEADLINE_MS is malformed: give a number of milliseconds");
    }
}
