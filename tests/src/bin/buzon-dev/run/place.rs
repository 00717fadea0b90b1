//! Where `make run` keeps its things, and the claim that there is one of it.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use harness::process::leftovers;
use harness::product::{Settings, binaries};
use harness::servers::reachable_home;

/// What a shell has in its environment that has read `.run/env`.
const ENV_READ: &str = "BUZON_RUN_ENV_READ";

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
    /// What a shell reads to work on what runs here.
    env: PathBuf,
    _lock: File,
}

impl Place {
    /// Claims the checkout for this run.
    pub(crate) fn claim(checkout: &Path) -> Result<Self> {
        ensure!(
            std::env::var_os(ENV_READ).is_none(),
            "this shell has read .run/env, and would start without servers of its own: use another one for `make run`"
        );
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
            env: run.join("env"),
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
        write_privately(&self.secret, &secret)?;
        Ok(secret)
    }

    /// Writes `.run/env`: after `. .run/env`, a shell finds the programs, and they find what runs here.
    pub(crate) fn write_env(&self, settings: &Settings) -> Result<()> {
        let programs = binaries::path("worker")?;
        let programs = programs.parent().context("the programs are in a directory")?;
        let programs = quoted(&programs.display().to_string());
        let mut env = format!("export {ENV_READ}=1\nexport PATH={programs}:\"$PATH\"\n");
        for (name, value) in settings {
            env.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        write_privately(&self.env, &env)
    }

    /// Removes `.run/env`: nothing runs here any more.
    pub(crate) fn remove_env(&self) {
        // There is none where a run has ended early.
        std::fs::remove_file(&self.env).ok();
    }
}

/// For the owner's eyes only.
fn write_privately(path: &Path, text: &str) -> Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
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
