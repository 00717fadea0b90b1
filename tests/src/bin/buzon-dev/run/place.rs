//! Where `make run` keeps its things, and the claim that there is one of it.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use harness::process::leftovers;
use harness::servers::reachable_home;

/// The directories of one checkout's run, held until dropped.
pub(crate) struct Place {
    /// Logs of everything.
    pub(crate) logs: PathBuf,
    /// Postgres' data.
    pub(crate) postgres: PathBuf,
    /// `RabbitMQ`'s data.
    pub(crate) rabbitmq: PathBuf,
    /// What ingest keeps while the broker is away.
    pub(crate) spool: PathBuf,
    /// What marks the product's programs as ours.
    pub(crate) product: PathBuf,
    /// Keeps the secret of this checkout.
    secret: PathBuf,
    _lock: File,
}

impl Place {
    /// Claims the checkout for this run.
    pub(crate) fn claim(checkout: &Path) -> Result<Self> {
        let run = checkout.join(".run");
        // Made first: a checkout that can't hold it is told so here.
        std::fs::create_dir_all(&run).with_context(|| format!("can't make {}", run.display()))?;
        let lock = lock(&run.join("lock"))?;
        let logs = run.join("log");
        if logs.exists() {
            std::fs::remove_dir_all(&logs)?;
        }
        let home = reachable_home(&run)?;
        let place = Self {
            postgres: home.join("postgres"),
            rabbitmq: home.join("rabbitmq"),
            spool: run.join("spool"),
            product: run.join("product"),
            secret: run.join("webhook-secret"),
            logs,
            _lock: lock,
        };
        std::fs::create_dir_all(&place.logs)?;
        std::fs::create_dir_all(&place.product)?;
        Ok(place)
    }

    /// Stops what a run that was killed has left in this checkout.
    pub(crate) async fn stop_leftovers(&self) -> Result<()> {
        let mut stopped = 0;
        for dir in [&self.product, &self.rabbitmq, &self.postgres] {
            stopped += leftovers::stop(dir).await?;
        }
        if stopped > 0 {
            println!("  stopped {stopped} processes that an earlier run had left");
        }
        Ok(())
    }

    /// The webhook secret of this checkout, made at the first call.
    pub(crate) fn secret(&self) -> Result<String> {
        if let Ok(secret) = std::fs::read_to_string(&self.secret) {
            return Ok(secret);
        }
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&self.secret)?;
        file.write_all(secret.as_bytes())?;
        Ok(secret)
    }
}

fn lock(path: &Path) -> Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            bail!(
                "`make run` is already running in this checkout (process {pid}): Ctrl-C there, or kill {pid}"
            );
        }
        Err(TryLockError::Error(error)) => return Err(error).context("can't lock .run/lock"),
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}
