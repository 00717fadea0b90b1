//! The product's own programs, run as anyone runs them: with an environment, watched through their HTTP endpoints.

pub mod binaries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{Launch, Process, Signal};
use crate::wait;

/// Variables of a program's environment.
pub type Settings = BTreeMap<String, String>;

/// A program that is going to be ready is so well within this, even on a busy machine.
pub const READY_DEADLINE: Duration = Duration::from_secs(30);

/// One running program of the product. Dropping it kills it.
#[derive(Debug)]
pub struct Product {
    process: Process,
    http: SocketAddr,
}

impl Product {
    /// Starts a program; `http` is where its settings make it answer `/readyz`.
    ///
    /// Its working directory is empty: it reads `.env` from there, and a developer's must not reach a test.
    ///
    /// # Errors
    ///
    /// When it is not built or can't be started.
    pub fn start(
        program: &str,
        args: &[&str],
        settings: &Settings,
        http: SocketAddr,
        dir: &Path,
    ) -> Result<Self> {
        Ok(Self { process: launch(program, args, settings, dir)?.start()?, http })
    }

    /// Watches a program that was started otherwise.
    #[must_use]
    pub fn watch(process: Process, http: SocketAddr) -> Self {
        Self { process, http }
    }

    /// Waits until `GET /readyz` says 200.
    ///
    /// # Errors
    ///
    /// When it ends instead, or is not ready in time; the message shows the end of its log.
    pub async fn ready(&mut self, deadline: Duration) -> Result<()> {
        self.answers("/readyz", deadline).await
    }

    /// Waits until `GET path` says 200.
    ///
    /// # Errors
    ///
    /// When it ends instead, or does not answer so in time; the message shows the end of its log.
    pub async fn answers(&mut self, path: &str, deadline: Duration) -> Result<()> {
        self.says(path, "", deadline).await
    }

    /// Waits until `GET path` says 200, and `text` in its body.
    ///
    /// # Errors
    ///
    /// When it ends instead, or does not answer so in time; the message shows the end of its log.
    pub async fn says(&mut self, path: &str, text: &str, deadline: Duration) -> Result<()> {
        let url = format!("http://{}{path}", self.http);
        let what = format!("{} to answer 200 on {path}, with {text:?}", self.process.name());
        let client = http_client()?;
        let ended = wait::until(&what, deadline, async || {
            if let Some(status) = self.process.ended()? {
                return Ok(Some(Some(status)));
            }
            let answer = client.get(&url).send().await?;
            let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
            ensure!(status == reqwest::StatusCode::OK && body.contains(text), "{status}: {body}");
            anyhow::Ok(Some(None))
        })
        .await
        .with_context(|| self.process.log_tail())?;
        match ended {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}); {}", self.process.name(), self.process.log_tail()),
        }
    }

    /// Where it answers `/livez`, `/readyz` and, the worker, `/metrics`.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The process, for everything else one can do to it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    ///
    /// When it is still running after `deadline`.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.process.stop(Signal::Terminate, deadline).await
    }
}

/// How a program that ran to its end did so.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote.
    pub log: String,
}

/// Runs a program to its end.
///
/// # Errors
///
/// When it is not built, can't be started or is still running after `deadline`.
pub async fn finish(
    program: &str,
    args: &[&str],
    settings: &Settings,
    dir: &Path,
    deadline: Duration,
) -> Result<Finished> {
    let mut process = launch(program, args, settings, dir)?.start()?;
    let status = process.end(deadline).await?;
    Ok(Finished { code: status.code(), log: process.log() })
}

/// A client that goes straight to the loopback, whatever proxy the machine is set up for.
///
/// # Errors
///
/// When the machine's TLS set-up is broken.
pub(crate) fn http_client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

fn launch(program: &str, args: &[&str], settings: &Settings, dir: &Path) -> Result<Launch> {
    // Several of them may run in one test; each start has a directory and a log of its own.
    let run = (1..).map(|nth| dir.join(format!("{program}-{nth}"))).find(|run| !run.exists());
    let run = run.context("a free directory")?;
    std::fs::create_dir_all(&run).with_context(|| format!("can't make {}", run.display()))?;
    // An empty one here stops the search for `.env` in the directories above.
    std::fs::write(run.join(".env"), "")?;
    let backtrace = std::env::var("RUST_BACKTRACE").ok().map(|value| ("RUST_BACKTRACE", value));
    let launch =
        Launch::new(program, binaries::path(program)?, &run).args(args).envs(settings).envs(backtrace);
    // A Ctrl-C is for whoever started it; a program that stops by itself would be taken for one that fails.
    Ok(launch.apart_from_terminal())
}
