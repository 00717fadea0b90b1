//! Where a measurement takes place: servers of the bench's own, and on them a database and a vhost for each round.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::ports;
use harness::product::{self, Product, READY_DEADLINE, Settings};
use harness::servers::{Postgres, RabbitMq};
use harness::stage::SECRET;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor as _, PgPool};

use crate::usage::{Cpu, Watched};

/// How long the worker may take for a backlog, and servers for a request to forget something.
const PATIENCE: Duration = Duration::from_secs(900);

/// The two servers.
pub struct Servers {
    dir: PathBuf,
    /// Postgres.
    pub postgres: Postgres,
    /// `RabbitMQ`.
    pub rabbitmq: RabbitMq,
    made: u32,
}

/// A fresh database and a fresh vhost, and the settings of programs that work on them.
pub struct Place {
    name: String,
    dir: PathBuf,
    /// The environment of the product's programs.
    pub settings: Settings,
    /// The database.
    pub pool: PgPool,
    /// Its address.
    pub database: String,
    /// The vhost's.
    pub amqp: String,
    /// Where ingest listens.
    pub door: SocketAddr,
}

impl Servers {
    /// Starts them in `dir`.
    ///
    /// # Errors
    ///
    /// When one does not come up.
    pub async fn start(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (of_postgres, of_rabbitmq) = (dir.join("postgres"), dir.join("rabbitmq"));
        let (mut postgres, rabbitmq) =
            tokio::try_join!(Postgres::start(&of_postgres, dir), RabbitMq::start(&of_rabbitmq, dir))?;
        // When a row was committed is asked of Postgres itself. It takes a start to begin with it.
        let pool = PgPool::connect(&postgres.url("postgres")).await?;
        pool.execute("ALTER SYSTEM SET track_commit_timestamp = on").await?;
        pool.close().await;
        postgres.restart().await?;
        Ok(Self { dir: dir.to_owned(), postgres, rabbitmq, made: 0 })
    }

    /// Both, to be watched.
    pub fn watched(&mut self) -> Vec<Watched> {
        let postgres = self.postgres.process().map(|it| Watched { name: "postgres", pid: it.pid() });
        let broker = self.rabbitmq.process().map(|it| Watched { name: "broker", pid: it.pid() });
        [postgres, broker].into_iter().flatten().collect()
    }

    /// Waits until the broker has done what it put off while a backlog was published: to empty it is measured, not to
    /// fill it.
    pub async fn calm(&mut self) {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        /// Of a core. RabbitMQ without anything to do takes a fiftieth.
        const CALM: f64 = 0.1;
        /// Whatever it does after so long, it does for other reasons.
        const AT_MOST: u32 = 40;
        for _ in 0..AT_MOST {
            let broker: Vec<_> = self.watched().into_iter().filter(|it| it.name == "broker").collect();
            let before = Cpu::of(&broker);
            tokio::time::sleep(LOOK_EVERY).await;
            if Cpu::of(&broker).since(&before).seconds() < CALM * LOOK_EVERY.as_secs_f64() {
                break;
            }
        }
    }

    /// A fresh place with the schema in it.
    ///
    /// # Errors
    ///
    /// When a server refuses.
    pub async fn place(&mut self) -> Result<Place> {
        self.made += 1;
        let name = format!("bench{}_{}", std::process::id(), self.made);
        self.postgres.create_database(&name).await?;
        self.rabbitmq.create_vhost(&name).await?;
        let (database, amqp) = (self.postgres.url(&name), self.rabbitmq.url(&name));
        let pool = PgPoolOptions::new().max_connections(2).connect(&database).await?;
        let (door, dir) = (ports::loopback(ports::free()?), self.dir.join(&name));
        std::fs::create_dir_all(&dir)?;
        let pairs = [
            ("BUZON_ENV", "production".to_owned()),
            ("DATABASE_URL", database.clone()),
            ("AMQP_URL", amqp.clone()),
            ("INGEST_ADDR", door.to_string()),
            ("BUZON_INGEST_METRICS_ADDR", ports::loopback(ports::free()?).to_string()),
            ("BUZON_SPOOL_DIR", dir.join("spool").display().to_string()),
            ("KAPSO_WEBHOOK_SECRET", SECRET.to_owned()),
            ("BUZON_GAP_CHECK_MINUTES", "0".to_owned()),
        ];
        let settings: Settings = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        let migrated = product::finish("worker", &["migrate"], &settings, &dir, READY_DEADLINE).await?;
        ensure!(migrated.code == Some(0), "worker migrate failed:\n{}", migrated.log);
        Ok(Place { name, dir, settings, pool, database, amqp, door })
    }

    /// Removes a place and all that was stored there.
    ///
    /// # Errors
    ///
    /// When a server refuses.
    pub async fn clear(&self, place: Place) -> Result<()> {
        place.pool.close().await;
        let pool = PgPool::connect(&self.postgres.url("postgres")).await?;
        // The name is ours.
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", place.name));
        pool.execute(drop).await?;
        pool.execute("CHECKPOINT").await?;
        pool.close().await;
        let name = &place.name;
        self.rabbitmq.node().eval(&format!(r#"rabbit_vhost:delete(<<"{name}">>, <<"bench">>)"#)).await?;
        std::fs::remove_dir_all(&place.dir)?;
        Ok(())
    }
}

impl Place {
    /// Starts ingest, and waits until it has its broker.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ingest(&self) -> Result<Product> {
        let mut ingest = self.ingest_unready()?;
        ingest.says("/readyz", r#""broker":"ok""#, READY_DEADLINE).await?;
        Ok(ingest)
    }

    /// Starts ingest.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn ingest_unready(&self) -> Result<Product> {
        Product::start("ingest", &["run"], &self.settings, self.door, &self.dir)
    }

    /// Starts a worker.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn worker(&self) -> Result<Product> {
        let http = ports::loopback(ports::free()?);
        let mut settings = self.settings.clone();
        settings.insert("BUZON_WORKER_METRICS_ADDR".to_owned(), http.to_string());
        Product::start("worker", &["run"], &settings, http, &self.dir)
    }

    /// Where its files go.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until this many webhooks are projected.
    ///
    /// # Errors
    ///
    /// When that takes too long.
    pub async fn projected(&self, count: u64) -> Result<()> {
        harness::wait::until("the worker to have stored everything", PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(400)).await;
            // Counting takes Postgres from the worker: only when its own account, which is a second late, says so.
            const INSERTED: &str = "SELECT COALESCE(sum(n_tup_ins), 0)::bigint FROM pg_stat_user_tables
                 WHERE relname LIKE 'webhooks\\_%'";
            const STORED: &str = "SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL";
            for count_of in [INSERTED, STORED] {
                let counted: i64 = sqlx::query_scalar(count_of).fetch_one(&self.pool).await?;
                if u64::try_from(counted)? < count {
                    return anyhow::Ok(false);
                }
            }
            anyhow::Ok(true)
        })
        .await
    }

    /// Webhooks a second between the first and the last commit, and how long that was.
    ///
    /// # Errors
    ///
    /// When nothing is stored.
    pub async fn stored_a_second(&self) -> Result<f64> {
        let (count, seconds): (i64, Option<f64>) = sqlx::query_as(
            "SELECT count(*), extract(epoch FROM max(projected_at) - min(projected_at))::float8 FROM webhooks",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(count as f64 / seconds.filter(|seconds| *seconds > 0.0).context("two windows at least")?)
    }
}
