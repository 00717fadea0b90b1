//! One child process: started with an environment of its own, its output kept, never outliving its handle.

mod launch;
pub mod leftovers;
mod signal;

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{scratch, wait};

pub use launch::Launch;
pub use signal::{Signal, send as send_signal};

/// How long a destructor waits for an end.
const MOMENT: Duration = Duration::from_secs(5);

/// A running (or ended) child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds its output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything it has written so far, standard output and standard error together.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines it has written, for an error message.
    #[must_use]
    pub fn log_tail(&self) -> String {
        scratch::tail(&self.log, 20)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// When the system can't say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("can't look after {}", self.name))
    }

    /// Sends a signal; to a process that has ended, none.
    ///
    /// # Errors
    ///
    /// When the signal can't be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Until its end is collected here its id can't belong to another.
        match self.ended()? {
            Some(_) => Ok(()),
            None => signal::send(signal, self.pid()),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it is still running after `deadline`; the message shows the end of its log.
    pub async fn end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait::until(&what, deadline, async || self.ended()).await.with_context(|| self.log_tail())
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    ///
    /// When it is still running after `deadline`.
    pub async fn stop(&mut self, signal: Signal, deadline: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.end(deadline).await
    }

    /// As [`Self::stop`], for a destructor: it waits a moment for the end, then kills.
    pub fn stop_now(&mut self, signal: Signal) {
        let start = Instant::now();
        // What can't be asked is killed.
        self.signal(signal).ok();
        while start.elapsed() < MOMENT && matches!(self.ended(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }

    /// `kill -9`, and its end is collected.
    pub fn kill(&mut self) {
        // It fails only when there is nothing left to kill.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
