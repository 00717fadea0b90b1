//! How a child is started.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Process, leftovers};

/// Where programs are looked for when the caller has no PATH.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A child about to be started. Its environment starts nearly empty, so that nothing of the caller's leaks in.
#[derive(Debug)]
pub struct Launch {
    name: String,
    command: Command,
    log: PathBuf,
}

impl Launch {
    /// `program`, working in `dir`, writing to `<dir>/<name>.log`.
    #[must_use]
    pub fn new(name: &str, program: impl AsRef<OsStr>, dir: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into()))
            .env("HOME", dir)
            .env("LANG", "C.UTF-8")
            // Its output goes to a file.
            .env("NO_COLOR", "1")
            .env(leftovers::MARK, dir)
            .current_dir(dir)
            .stdin(Stdio::null());
        Self { name: name.to_owned(), command, log: dir.join(format!("{name}.log")) }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    /// Sets variables of its environment.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, envs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.command.envs(envs);
        self
    }

    /// Works in another directory; the log and the mark stay with the first.
    #[must_use]
    pub fn working_in(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Writes its output there instead.
    #[must_use]
    pub fn logging_to(mut self, log: PathBuf) -> Self {
        self.log = log;
        self
    }

    /// Runs as another user of the system; only root can ask for that.
    #[must_use]
    pub fn as_user(mut self, user: Option<(u32, u32)>) -> Self {
        if let Some((uid, gid)) = user {
            self.command.uid(uid).gid(gid);
        }
        self
    }

    /// Out of reach of the terminal's Ctrl-C: whoever started it stops it, in the right order.
    #[must_use]
    pub fn apart_from_terminal(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the program or the log file can't be opened.
    pub fn start(mut self) -> Result<Process> {
        let log = open(&self.log).with_context(|| format!("can't write {}", self.log.display()))?;
        let child = self.command.stdout(log.try_clone()?).stderr(log).spawn().with_context(|| {
            format!("can't start {} ({})", self.name, self.command.get_program().display())
        })?;
        Ok(Process { name: self.name, child, log: self.log })
    }
}

fn open(log: &Path) -> std::io::Result<File> {
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent)?;
    }
    File::options().create(true).append(true).open(log)
}
