//! When what happened: the first thing to read after a run that failed.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use time::OffsetDateTime;

/// Shows a line to whoever watches the run.
pub type Watcher = Box<dyn Fn(&str) + Send + Sync>;

/// A log of the run itself: faults, starts and ends of processes.
pub(super) struct Timeline {
    began: Instant,
    file: Mutex<File>,
    watcher: Watcher,
}

impl Timeline {
    pub(super) fn new(path: &Path, watcher: Watcher) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self { began: Instant::now(), file: Mutex::new(file), watcher })
    }

    /// Writes a line with the time, as the product's logs have it, and the seconds since the beginning.
    pub(super) fn note(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let line = format!("{} {seconds:8.2} {what}\n", OffsetDateTime::now_utc());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A run does not end for a line that can't be written.
        file.write_all(line.as_bytes()).ok();
    }

    /// The same, and shows it.
    pub(super) fn tell(&self, what: &str) {
        self.note(what);
        (self.watcher)(&format!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64()));
    }
}
