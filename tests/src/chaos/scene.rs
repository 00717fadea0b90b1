//! All that a run has: servers, proxies, the simulator, the product's programs, and the load.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kapso_sim::{Sim, SimConfig, Statuses};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use super::disk::Disk;
use super::fault::Link;
use super::ledger::Ledger;
use super::program::Program;
use super::sender::Sender;
use super::story::Story;
use super::timeline::Timeline;
use crate::ports;
use crate::product::{self, READY_DEADLINE, Settings};
use crate::proxy::Proxy;
use crate::servers::{Postgres, RabbitMq};
use crate::stage::{SECRET, WEBHOOK_PATH};

/// The product's database.
const DATABASE: &str = "buzon";

/// The key of the simulated API.
const TOKEN: &str = "a-token-of-the-chaos";

/// No message becomes too old to be answered while a server is away.
const REPLY_MAX_AGE_SECONDS: &str = "86400";

/// Everything, running. Fields are dropped in this order: who connects before whom they connect to.
pub(super) struct Scene {
    pub(super) sender: Arc<Sender>,
    pub(super) ingest: Program,
    pub(super) workers: [Program; 2],
    pub(super) disk: Disk,
    links: [(Link, Proxy); 4],
    pub(super) sim: Sim,
    pub(super) pool: PgPool,
    pub(super) rabbitmq: RabbitMq,
    pub(super) postgres: Postgres,
    pub(super) client: reqwest::Client,
    pub(super) ledger: Arc<Ledger>,
    pub(super) timeline: Arc<Timeline>,
    /// Somebody wants the run to end.
    pub(super) stop: CancellationToken,
}

impl Scene {
    /// Starts everything in `dir` but the load.
    pub(super) async fn set(
        dir: &Path,
        story: Arc<Story>,
        ledger: Arc<Ledger>,
        timeline: Arc<Timeline>,
        retry_scale: f64,
        stop: CancellationToken,
    ) -> Result<Self> {
        let disk = Disk::mount(dir.join("disk"))?;
        timeline.tell(&format!("the spool's disk is {}", disk.describe()));
        let (of_postgres, of_rabbitmq) = (dir.join("postgres"), dir.join("rabbitmq"));
        let (postgres, rabbitmq) =
            tokio::try_join!(Postgres::start(&of_postgres, dir), RabbitMq::start(&of_rabbitmq, dir))?;
        postgres.create_database(DATABASE).await?;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy(&postgres.url(DATABASE))?;
        let sim = Sim::start(kapso()).await?;
        let to_postgres = ports::loopback(postgres.port());
        let links = [
            (Link::IngestToRabbitMq, Proxy::to(rabbitmq.node().addr()).await?),
            (Link::WorkerToRabbitMq, Proxy::to(rabbitmq.node().addr()).await?),
            (Link::WorkerToPostgres, Proxy::to(to_postgres).await?),
            (Link::WorkerToKapso, Proxy::to(sim.addr()).await?),
        ];
        let by = |link: Link| links.iter().find(|(of, _)| *of == link).map(|(_, proxy)| proxy.addr());
        let [ingest_amqp, worker_amqp, database, kapso] =
            Link::ALL.map(|link| by(link).context("a proxy for each link"));
        let through =
            |url: String, from: SocketAddr, to: SocketAddr| url.replace(&from.to_string(), &to.to_string());
        let amqp = |to| through(rabbitmq.url("/"), rabbitmq.node().addr(), to);
        let door = ports::loopback(ports::free()?);

        let mut settings = common();
        settings.insert("DATABASE_URL".to_owned(), through(postgres.url(DATABASE), to_postgres, database?));
        settings.insert("AMQP_URL".to_owned(), amqp(worker_amqp?));
        settings.insert("KAPSO_API_BASE_URL".to_owned(), through(sim.meta_proxy_url(), sim.addr(), kapso?));
        settings.insert("KAPSO_API_TOKEN".to_owned(), TOKEN.to_owned());
        settings.insert("KAPSO_PHONE_NUMBER_ID".to_owned(), story.phone_number_id().to_owned());
        // No limit but those that are struck with, and no calls but those that are counted.
        settings.insert("BUZON_API_CALLS_A_MINUTE".to_owned(), "1000000".to_owned());
        settings.insert("BUZON_GAP_CHECK_MINUTES".to_owned(), "0".to_owned());
        settings.insert("BUZON_REPLY_MAX_AGE_SECONDS".to_owned(), REPLY_MAX_AGE_SECONDS.to_owned());
        migrate(&settings, dir).await?;
        let worker = |name: &'static str| {
            let http = ports::loopback(ports::free()?);
            let mut settings = settings.clone();
            settings.insert("BUZON_WORKER_METRICS_ADDR".to_owned(), http.to_string());
            Program::start(name, "worker", settings, http, dir.join(name), Arc::clone(&timeline))
        };
        let workers = [worker("worker-a")?, worker("worker-b")?];

        let mut settings = common();
        settings.extend(disk.settings());
        settings.insert("AMQP_URL".to_owned(), amqp(ingest_amqp?));
        settings.insert("INGEST_ADDR".to_owned(), door.to_string());
        let figures = ports::loopback(ports::free()?).to_string();
        settings.insert("BUZON_INGEST_METRICS_ADDR".to_owned(), figures);
        let ingest =
            Program::start("ingest", "ingest", settings, door, dir.join("ingest"), Arc::clone(&timeline))?;

        let url = format!("http://{door}{WEBHOOK_PATH}");
        let sender = Arc::new(Sender::new(url, story, Arc::clone(&ledger), retry_scale)?);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(Self {
            sender,
            ingest,
            workers,
            disk,
            links,
            sim,
            pool,
            rabbitmq,
            postgres,
            client,
            ledger,
            timeline,
            stop,
        })
    }

    /// The proxy that a connection leads through.
    pub(super) fn proxy(&self, link: Link) -> Result<&Proxy> {
        self.links.iter().find(|(of, _)| *of == link).map(|(_, proxy)| proxy).context("a proxy for each link")
    }
}

/// What both programs are told.
fn common() -> Settings {
    Settings::from([
        ("BUZON_ENV".to_owned(), "production".to_owned()),
        ("KAPSO_WEBHOOK_SECRET".to_owned(), SECRET.to_owned()),
    ])
}

/// A Kapso that takes any message for a known one, limits nobody, and tells nothing: the load does.
fn kapso() -> SimConfig {
    SimConfig {
        api_key: Some(TOKEN.to_owned()),
        lenient: true,
        statuses: Statuses::NONE,
        rate_limit: None,
        ..SimConfig::default()
    }
}

async fn migrate(settings: &Settings, dir: &Path) -> Result<()> {
    let done = product::finish("worker", &["migrate"], settings, dir, READY_DEADLINE).await?;
    ensure!(done.code == Some(0), "worker migrate failed ({:?}):\n{}", done.code, done.log);
    Ok(())
}
