//! What the developer has configured, and what is filled in where nothing is.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, bail};
use contract::settings::Settings as Given;
use harness::ports;
use harness::product::Settings;

use super::place::Place;

/// The name of the database on the private Postgres.
pub(crate) const DATABASE: &str = "buzon";

/// A key for the simulator alone: it opens nothing else.
const SIMULATOR_TOKEN: &str = "token-of-the-simulator";

/// A number for the simulator and the worker to agree on.
const SIMULATOR_PHONE_NUMBER_ID: &str = "118800223344556";

/// Where a person finds the secret that opens the door.
pub(crate) enum SecretAt {
    /// Made for this checkout: in `.run/webhook-secret`.
    Checkout,
    /// In the environment of the shell.
    Environment,
    /// In `.env`, or in a file it names.
    File,
    /// Switched off by an empty variable: unsigned webhooks are taken.
    Nowhere,
}

/// The settings of a run.
pub(crate) struct Configured {
    /// Is there a `DATABASE_URL`?
    pub(crate) has_database: bool,
    /// Is there an `AMQP_URL`?
    pub(crate) has_broker: bool,
    /// Where ingest listens.
    pub(crate) door: SocketAddr,
    /// Where the worker answers `/readyz`.
    pub(crate) worker_metrics: SocketAddr,
    /// Where the simulator listens; none when a real token is set.
    pub(crate) simulator: Option<SocketAddr>,
    /// Where to look the webhook secret up.
    pub(crate) secret_at: SecretAt,
    /// What ingest and worker are told beyond the developer's own environment.
    pub(crate) product: Settings,
    secret: String,
}

impl Configured {
    /// Reads `.env` and the environment as the product does, and fills in the rest.
    pub(crate) fn read(place: &Place) -> Result<Self> {
        let given = Given::load()?;
        let door = given.parsed("INGEST_ADDR", all(8000), "an address such as 0.0.0.0:8000")?;
        refuse_taken(door)?;
        let ingest_metrics = address(&given, "BUZON_INGEST_METRICS_ADDR", 9101)?;
        let worker_metrics = address(&given, "BUZON_WORKER_METRICS_ADDR", 9102)?;
        let simulator = match given.secret("KAPSO_API_TOKEN")? {
            Some(_) => None,
            None => Some(preferred(8080)?),
        };
        let (secret, secret_at) = secret(&given, place)?;
        let mut configured = Self {
            has_database: given.secret("DATABASE_URL")?.is_some(),
            has_broker: given.secret("AMQP_URL")?.is_some(),
            door,
            worker_metrics,
            simulator,
            secret_at,
            product: Settings::new(),
            secret,
        };
        configured.set("INGEST_ADDR", door.to_string());
        configured.set("BUZON_INGEST_METRICS_ADDR", ingest_metrics.to_string());
        configured.set("BUZON_WORKER_METRICS_ADDR", worker_metrics.to_string());
        if given.text("BUZON_SPOOL_DIR").is_none() {
            configured.set("BUZON_SPOOL_DIR", place.spool.display().to_string());
        }
        if given.text("BUZON_ENV").is_none() {
            configured.set("BUZON_ENV", "development");
        }
        if let Some(url) = given.secret("DATABASE_URL")? {
            configured.set("DATABASE_URL", url.expose());
        }
        if matches!(configured.secret_at, SecretAt::Checkout | SecretAt::Environment) {
            configured.set("KAPSO_WEBHOOK_SECRET", configured.secret.clone());
        }
        if let Some(addr) = simulator {
            configured.set("KAPSO_API_BASE_URL", format!("http://{addr}{}", api_of(&dialect())));
            configured.set("KAPSO_API_TOKEN", SIMULATOR_TOKEN);
            configured.set("KAPSO_PLATFORM_URL", format!("http://{addr}/platform/v1"));
            configured.set("BUZON_PUBLIC_URL", configured.webhook_url());
            let number = given.text("KAPSO_PHONE_NUMBER_ID").unwrap_or(SIMULATOR_PHONE_NUMBER_ID.to_owned());
            configured.set("KAPSO_PHONE_NUMBER_ID", number);
            // A proxy for the rest of the world is none for this machine.
            let direct = std::env::var("NO_PROXY").map_or(String::new(), |others| format!("{others},"));
            configured.set("NO_PROXY", format!("{direct}127.0.0.1"));
        }
        Ok(configured)
    }

    /// Tells ingest and worker one thing more.
    pub(crate) fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.product.insert(variable.to_owned(), value.into());
    }

    /// What the simulator is told: it knows nothing of `.env`.
    pub(crate) fn simulator_settings(&self, addr: SocketAddr) -> Settings {
        let mut settings = self.product.clone();
        settings.insert("SIM_ADDR".to_owned(), addr.to_string());
        settings.insert("SIM_WEBHOOK_URL".to_owned(), self.webhook_url());
        settings.insert("SIM_DIALECT".to_owned(), dialect());
        settings.insert("KAPSO_WEBHOOK_SECRET".to_owned(), self.secret.clone());
        settings
    }

    /// Where webhooks go to, from this machine.
    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}/api/whatsapp/webhook", local(self.door))
    }
}

/// The dialect that the simulator begins with.
fn dialect() -> String {
    std::env::var("SIM_DIALECT")
        .ok()
        .filter(|dialect| !dialect.is_empty())
        .unwrap_or_else(|| "guide".to_owned())
}

/// The API whose requests a dialect's events can address.
fn api_of(dialect: &str) -> &'static str {
    match dialect {
        "guide" | "v1" => "/api/v1",
        _ => "/meta/whatsapp/v24.0",
    }
}

/// The address under which this machine reaches what listens on `addr`.
pub(crate) fn local(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() { ports::loopback(addr.port()) } else { addr }
}

fn all(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

/// A port that people know, where it is free; they are told where it is not.
fn preferred(port: u16) -> Result<SocketAddr> {
    Ok(ports::loopback(ports::again(Some(port))?))
}

fn address(given: &Given, variable: &str, port: u16) -> Result<SocketAddr> {
    if given.text(variable).is_none() {
        return preferred(port);
    }
    Ok(given.parsed(variable, ports::loopback(port), "an address such as 127.0.0.1:9101")?)
}

/// The secret with which webhooks are signed here, and where a person finds it.
fn secret(given: &Given, place: &Place) -> Result<(String, SecretAt)> {
    const VARIABLE: &str = "KAPSO_WEBHOOK_SECRET";
    let in_environment = std::env::var_os(VARIABLE);
    if in_environment.as_ref().is_some_and(|value| value.is_empty()) {
        return Ok((String::new(), SecretAt::Nowhere));
    }
    if let Some(secret) = given.secret(VARIABLE)? {
        let at = if in_environment.is_some() { SecretAt::Environment } else { SecretAt::File };
        return Ok((secret.expose().to_owned(), at));
    }
    if let Some(several) = given.secret("KAPSO_WEBHOOK_SECRETS")? {
        let first = several.expose().split_whitespace().next().unwrap_or_default().to_owned();
        return Ok((first, SecretAt::File));
    }
    Ok((place.secret()?, SecretAt::Checkout))
}

/// Ingest would fail on a taken port as well; here it is told before anything is started.
fn refuse_taken(door: SocketAddr) -> Result<()> {
    match TcpListener::bind(door) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "{door} is taken: stop what listens there (ss -ltnp 'sport = :{}'), or choose another address: \
             INGEST_ADDR=127.0.0.1:8001 make run",
            door.port()
        ),
        Err(error) => bail!("can't listen on {door} ({error}): choose another address with INGEST_ADDR"),
    }
}
