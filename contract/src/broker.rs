//! Reaching RabbitMQ: every step has a deadline, and trying again has jitter.
//!
//! lapin's own recovery stays off: with it, confirms hang until a reconnect succeeds.
//! Whoever holds a connection drops it on the first error and connects anew.

use std::{str::FromStr, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use lapin::{
    Connection, ConnectionProperties,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::time::timeout;

use crate::{
    settings::{Settings, SettingsError},
    topology::{self, Inspected, Mismatch, Tap},
    transport::Attempt,
};

/// The exit code of a program that finds another topology than ours at its start
/// (`EX_CONFIG` of sysexits.h): trying again changes nothing.
pub const EXIT_TOPOLOGY: u8 = 78;

/// How long a connect, with its handshake and the declarations, may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Seconds between heartbeats, unless the address says otherwise. A silent peer is
/// noticed after two of them; the server's own default would take two minutes.
const HEARTBEAT_SECONDS: u16 = 10;

/// Why the broker can't be used now.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It did not answer in time.
    #[error("RabbitMQ did not answer within {} s", CONNECT_DEADLINE.as_secs())]
    Deadline,
    /// A queue or an exchange of ours is there, and is different.
    #[error(transparent)]
    Topology(#[from] Mismatch),
    /// Anything else that goes wrong on the way.
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
}

/// Where the broker is, and what we are called there.
#[derive(Clone)]
pub struct Broker {
    uri: AMQPUri,
    name: &'static str,
}

impl Broker {
    /// Reads `AMQP_URL`; `name` is what RabbitMQ shows for the connection.
    ///
    /// # Errors
    /// When it is missing or malformed. Its text is never shown: it can hold a password.
    pub fn from_settings(settings: &Settings, name: &'static str) -> Result<Self, SettingsError> {
        const REMEDY: &str = "give amqp://user:password@host:5672/vhost (amqps:// for TLS)";
        let url = settings.required_secret("AMQP_URL", REMEDY)?;
        let mut uri = AMQPUri::from_str(url.expose())
            .map_err(|_| SettingsError::new("AMQP_URL", "is malformed", REMEDY))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        Ok(Self { uri, name })
    }

    /// Connects and declares the topology.
    ///
    /// # Errors
    /// [`BrokerError`]; try again after a pause of [`retry_pauses`].
    pub async fn connect(&self) -> Result<Connection, BrokerError> {
        self.connect_and(topology::declare).await.map(|(connection, ())| connection)
    }

    /// Connects, looks at the topology without changing it, and goes.
    ///
    /// # Errors
    /// [`BrokerError`], but for what differs: that is told of each thing.
    pub async fn inspect(&self) -> Result<Vec<Inspected>, BrokerError> {
        let (connection, inspected) = self.connect_and(topology::inspect).await?;
        connection.close(200, "seen".into()).await?;
        Ok(inspected)
    }

    /// Connects and sees from now on what no queue takes. Nothing that is there is changed.
    ///
    /// # Errors
    /// [`BrokerError`], also where there is no exchange for that yet.
    pub async fn tap(&self) -> Result<Tap, BrokerError> {
        let (connection, queue) = self.connect_and(async |it, _| topology::tap::queue(it).await).await?;
        Ok(Tap::new(connection, queue))
    }

    /// Where it is: host and port.
    #[must_use]
    pub fn authority(&self) -> (&str, u16) {
        (&self.uri.authority.host, self.uri.authority.port)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// Connects and does something first, both within the deadline.
    async fn connect_and<T>(
        &self,
        first: impl AsyncFnOnce(&Connection, &str) -> Result<T, BrokerError>,
    ) -> Result<(Connection, T), BrokerError> {
        let mut attempt = Attempt::default();
        let connected = timeout(CONNECT_DEADLINE, async {
            let properties = ConnectionProperties::default().with_connection_name(self.name.into());
            let connection = attempt.connect(self.uri.clone(), properties).await?;
            let done = first(&connection, &self.uri.vhost).await?;
            Ok::<_, BrokerError>((connection, done))
        });
        // Failed, out of time, or dropped half-way, the attempt takes its socket with it.
        let connected = connected.await.map_err(|_| BrokerError::Deadline)??;
        attempt.keep();
        Ok(connected)
    }
}

/// The pauses between attempts to reach a server, without end: from 0.1 s, doubling up to
/// 5 s, each with jitter so that many processes do not come back in step.
pub fn retry_pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}
