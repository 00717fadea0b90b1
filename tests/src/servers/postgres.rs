//! A Postgres of one's own.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{START_DEADLINE, STOP_DEADLINE, account, packages};
use crate::process::{Launch, Process, Signal, leftovers};
use crate::{ports, scratch, wait};

/// The role that owns everything; only the loopback can use it.
const ROLE: &str = "buzon";

/// Many tests at once, each with a product whose parts keep pools.
const MAX_CONNECTIONS: u32 = 200;

/// After a `kill -9` the machine may take a moment to let go of the old server and its shared memory.
const START_TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A private Postgres. Dropping it stops it at once; its data stays.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    logs: PathBuf,
    port: u16,
    server: Option<Process>,
}

impl Postgres {
    /// Starts a server that keeps its data in `dir` and its log in `logs`; data that is already there is used.
    ///
    /// # Errors
    ///
    /// When it doesn't come up; the message shows the end of its log.
    pub async fn start(dir: &Path, logs: &Path) -> Result<Self> {
        leftovers::stop(dir).await?;
        own(dir)?;
        let remembered = std::fs::read_to_string(dir.join("port")).ok();
        let port = ports::again(remembered.and_then(|port| port.parse().ok()))?;
        std::fs::write(dir.join("port"), port.to_string())?;
        let mut postgres = Self { dir: dir.to_owned(), logs: logs.to_owned(), port, server: None };
        if !postgres.data().exists() {
            postgres.make_data().await?;
        }
        postgres.restart().await?;
        Ok(postgres)
    }

    /// Starts one for the running test alone, which may do to it what it likes.
    ///
    /// # Errors
    ///
    /// When it doesn't come up.
    pub async fn of_this_test() -> Result<Self> {
        let dir = scratch::dir()?;
        Self::start(&dir.join("postgres"), &dir).await
    }

    /// Where a client finds one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on, the same for its whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The running server, if there is one.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.server.as_mut()
    }

    /// Makes a database unless there is one of that name.
    ///
    /// # Errors
    ///
    /// When the server can't be asked.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        create_database(&self.url("postgres"), name).await
    }

    /// Stops it in good order; whoever is connected is disconnected.
    ///
    /// # Errors
    ///
    /// When it doesn't stop in time.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop(Signal::Interrupt, STOP_DEADLINE).await?;
        }
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again on the same port, after stopping it if it runs.
    ///
    /// # Errors
    ///
    /// When it doesn't come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let mut tries = 1;
        loop {
            let started = self.start_once().await;
            if started.is_err() && tries < START_TRIES && self.old_one_lingers() {
                tries += 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
                continue;
            }
            self.server = Some(started?);
            return Ok(());
        }
    }

    async fn start_once(&self) -> Result<Process> {
        let major = std::fs::read_to_string(self.data().join("PG_VERSION"))?;
        let program = packages::postgres(major.trim().parse().ok())?.join("postgres");
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            // No socket file: its path would have to be short, and nobody needs it.
            "unix_socket_directories=".to_owned(),
            format!("max_connections={MAX_CONNECTIONS}"),
            leftovers::argument(&self.dir),
        ];
        let mut server = self
            .launch("postgres", &program)?
            .args(["-D".as_ref(), self.data().as_os_str()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .start()?;
        let answer = wait::until("Postgres to answer", START_DEADLINE, async || {
            if let Some(status) = server.ended()? {
                return Ok(Some(Err(status)));
            }
            PgConnection::connect(&self.url("postgres")).await?.close().await?;
            anyhow::Ok(Some(Ok(())))
        })
        .await
        .with_context(|| server.log_tail())?;
        if let Err(status) = answer {
            bail!("Postgres ended at its start ({status}); {}", server.log_tail());
        }
        Ok(server)
    }

    fn old_one_lingers(&self) -> bool {
        let log = scratch::tail(&self.logs.join("postgres.log"), 5);
        log.contains("shared memory block") || log.contains("\"postmaster.pid\" already exists")
    }

    /// Made beside and moved into place: half a data directory is never taken for a whole one.
    async fn make_data(&self) -> Result<()> {
        let half = self.dir.join("data.half");
        if half.exists() {
            std::fs::remove_dir_all(&half)?;
        }
        let program = packages::postgres(None)?.join("initdb");
        let mut initdb = self
            .launch("initdb", &program)?
            .args(["-U", ROLE, "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", "-D"])
            .args([&half])
            .start()?;
        let status = initdb.end(START_DEADLINE).await?;
        ensure!(status.success(), "initdb failed ({status}); {}", initdb.log_tail());
        std::fs::rename(&half, self.data())?;
        Ok(())
    }

    fn launch(&self, name: &str, program: &Path) -> Result<Launch> {
        Ok(Launch::new(name, program, &self.dir)
            .logging_to(self.logs.join(format!("{name}.log")))
            .as_user(account::for_postgres()?)
            .apart_from_terminal())
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its own children end with it, and are collected by it: a killed one leaves them to the machine.
        if let Some(mut server) = self.server.take() {
            server.stop_now(Signal::Quit);
        }
    }
}

/// Makes a database on the server behind `url`, unless there is one of that name.
///
/// # Errors
///
/// When the server can't be asked.
pub(crate) async fn create_database(url: &str, name: &str) -> Result<()> {
    ensure!(
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "a database name of letters, digits and _: {name:?}"
    );
    let mut connection = PgConnection::connect(url).await.context("can't connect to the private Postgres")?;
    let there = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_optional(&mut connection)
        .await?
        .is_some();
    if !there {
        // Its name is checked above; CREATE DATABASE takes no parameters.
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    }
    Ok(connection.close().await?)
}

/// Makes the directory, and hands it to the user the server runs as.
fn own(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    if let Some((uid, gid)) = account::for_postgres()? {
        chown(dir, Some(uid), Some(gid))?;
        ensure!(account::can_reach((uid, gid), dir), "the user `postgres` can't reach {}", dir.display());
    }
    Ok(())
}
