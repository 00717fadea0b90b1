//! What one test gets: a database, a vhost, and the product on them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Response;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::product::{self, Product, READY_DEADLINE, Settings};
use crate::servers::{Node, Postgres, RabbitMq};
use crate::{ports, scratch, servers, sign};

/// The shared Postgres of a run (its database `postgres`).
pub const DATABASE_URL: &str = "BUZON_TEST_DATABASE_URL";
/// The directory of the shared broker of a run, from which it can be reached and commanded.
pub const RABBITMQ_DIR: &str = "BUZON_TEST_RABBITMQ_DIR";
/// The shared broker's address (its vhost `/`).
pub const AMQP_URL: &str = "BUZON_TEST_AMQP_URL";

/// The webhook secret on every stage.
pub const SECRET: &str = "a-secret-of-the-tests";

pub use contract::WEBHOOK_PATH;

static MADE: AtomicU32 = AtomicU32::new(0);

/// One test's own database and vhost. The product's programs are started on it as the test wants them.
#[derive(Debug)]
pub struct Stage {
    dir: PathBuf,
    pool: PgPool,
    settings: Settings,
    door: SocketAddr,
    client: reqwest::Client,
}

impl Stage {
    /// A stage on the servers that all tests of a run share. A test that stops or blocks a server uses [`Self::on`].
    ///
    /// # Errors
    ///
    /// When there are no servers, or the migration fails.
    pub async fn new() -> Result<Self> {
        let database = std::env::var(DATABASE_URL).ok().context(scratch::HOW_TO_RUN)?;
        let broker = std::env::var(RABBITMQ_DIR).ok().context(scratch::HOW_TO_RUN)?;
        let name = name();
        servers::create_database(&database, &name).await?;
        let server = database.rsplit_once('/').context("a database URL ends in /<name>")?.0;
        Self::build(format!("{server}/{name}"), &Node::attach(Path::new(&broker))?, &name).await
    }

    /// A stage on servers of the test's own.
    ///
    /// # Errors
    ///
    /// When the migration fails.
    pub async fn on(postgres: &Postgres, rabbitmq: &RabbitMq) -> Result<Self> {
        let name = name();
        postgres.create_database(&name).await?;
        Self::build(postgres.url(&name), rabbitmq.node(), &name).await
    }

    async fn build(database_url: String, broker: &Node, name: &str) -> Result<Self> {
        broker.create_vhost(name).await?;
        // Lazy: a test that asks nothing of the database holds no connection.
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy(&database_url)?;
        let door = ports::loopback(ports::free()?);
        let dir = scratch::dir()?;
        let settings = Settings::from([
            ("BUZON_ENV".to_owned(), "production".to_owned()),
            ("DATABASE_URL".to_owned(), database_url),
            ("AMQP_URL".to_owned(), broker.url(name)),
            ("INGEST_ADDR".to_owned(), door.to_string()),
            // Each start has a working directory of its own; a restarted ingest must find its spool.
            ("BUZON_SPOOL_DIR".to_owned(), dir.join("spool").display().to_string()),
            ("KAPSO_WEBHOOK_SECRET".to_owned(), SECRET.to_owned()),
            // A test counts its own calls of Kapso's API; those about gaps switch the detector on.
            ("BUZON_GAP_CHECK_MINUTES".to_owned(), "0".to_owned()),
            // Nobody looks for alarms but where a test is about them: a look changes tables.
            ("BUZON_ALARM_CHECK_SECONDS".to_owned(), "0".to_owned()),
            // Most tests do more in a minute than the default lets through.
            ("BUZON_API_CALLS_A_MINUTE".to_owned(), "100000".to_owned()),
        ]);
        let stage = Self { dir, pool, settings, door, client: product::http_client()? };
        stage.migrate().await?;
        Ok(stage)
    }

    /// Sets a variable for every program started from now on; an empty value takes it away.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.set(variable, value);
        self
    }

    /// As [`Self::with`], in the middle of a test.
    pub fn set(&mut self, variable: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.settings.remove(variable);
        } else {
            self.settings.insert(variable.to_owned(), value);
        }
    }

    /// The value of a variable, as the next program would see it.
    #[must_use]
    pub fn setting(&self, variable: &str) -> &str {
        self.settings.get(variable).map_or("", String::as_str)
    }

    /// The test's own directory: logs of the programs, room for more.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Where Kapso would post to.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("http://{}{WEBHOOK_PATH}", self.door)
    }

    /// `worker migrate`. Done already when the test begins.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub async fn migrate(&self) -> Result<()> {
        let done = self.finish("worker", &["migrate"]).await?;
        ensure!(done.code == Some(0), "worker migrate failed ({:?}):\n{}", done.code, done.log);
        Ok(())
    }

    /// Runs a program of the product to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started, or does not end.
    pub async fn finish(&self, program: &str, args: &[&str]) -> Result<product::Finished> {
        product::finish(program, args, &self.settings, &self.dir, READY_DEADLINE).await
    }

    /// Starts ingest and waits until it is ready and has its broker, so that nothing takes the way through the spool.
    /// There can be one at a time: a second start takes the same address.
    ///
    /// # Errors
    ///
    /// When it does not become so.
    pub async fn ingest(&self) -> Result<Product> {
        let mut ingest = self.ingest_unready()?;
        ingest.says("/readyz", r#""broker":"ok""#, READY_DEADLINE).await?;
        Ok(ingest)
    }

    /// Starts ingest, ready or not.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn ingest_unready(&self) -> Result<Product> {
        let metrics = ports::loopback(ports::free()?).to_string();
        let mut settings = self.settings.clone();
        settings.entry("BUZON_INGEST_METRICS_ADDR".to_owned()).or_insert(metrics);
        Product::start("ingest", &["run"], &settings, self.door, &self.dir)
    }

    /// Starts a worker and waits until it is ready. There can be many.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn worker(&self) -> Result<Product> {
        let mut worker = self.worker_unready()?;
        worker.ready(READY_DEADLINE).await?;
        Ok(worker)
    }

    /// Starts a worker, ready or not.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn worker_unready(&self) -> Result<Product> {
        let metrics = ports::loopback(ports::free()?);
        let mut settings = self.settings.clone();
        settings.insert("BUZON_WORKER_METRICS_ADDR".to_owned(), metrics.to_string());
        Product::start("worker", &["run"], &settings, metrics, &self.dir)
    }

    /// Posts a body to the door with these headers and no others of ours.
    ///
    /// # Errors
    ///
    /// When nobody answers.
    pub async fn post(&self, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Result<Response> {
        let request = self.client.post(self.webhook_url()).body(body.into());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(request.send().await?)
    }

    /// Posts a JSON body signed as in the guide.
    ///
    /// # Errors
    ///
    /// When nobody answers.
    pub async fn post_signed(&self, body: impl Into<Vec<u8>>) -> Result<Response> {
        let body = body.into();
        let signature = sign::hex(SECRET, &body)?;
        self.post(body, &[("Content-Type", "application/json"), ("X-Kapso-Signature", &signature)]).await
    }
}

/// Unlike any other in the life of the servers; letters first, as both servers like it.
fn name() -> String {
    format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}
