//! Processes that a crashed run left behind.
//!
//! Everything the harness starts carries a mark with its directory in it. A process is a leftover if it carries the
//! mark of a directory whose owner is gone; an id in a file could have passed to a stranger in the meantime.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::signal::{self, Signal};
use crate::wait;

/// The mark in the environment; for Postgres, which may run as a user whose environment can't be read, also an
/// argument (see [`argument`]).
pub const MARK: &str = "HARNESS_DIR";

/// The mark as a setting on a server's command line.
#[must_use]
pub fn argument(dir: &Path) -> String {
    format!("harness.dir={}", dir.display())
}

/// Kills every process that was started in `dir` or below it, and waits until they are gone.
///
/// # Errors
///
/// When one can't be killed.
pub async fn stop(dir: &Path) -> Result<usize> {
    let found = in_dir(dir);
    for pid in &found {
        // One that ends by itself in this moment is as good as killed; one that stays is noticed below.
        signal::send(Signal::Kill, *pid).ok();
    }
    let what = format!("leftovers in {} to end", dir.display());
    wait::until(&what, Duration::from_secs(10), async || in_dir(dir).is_empty()).await?;
    Ok(found.len())
}

/// The processes that were started in `dir` or below it.
#[must_use]
pub fn in_dir(dir: &Path) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| started_in(*pid).is_some_and(|started| started.starts_with(dir)))
        .collect()
}

fn started_in(pid: u32) -> Option<PathBuf> {
    marked(pid, "environ", &format!("{MARK}=")).or_else(|| marked(pid, "cmdline", "harness.dir="))
}

fn marked(pid: u32, list: &str, mark: &str) -> Option<PathBuf> {
    let bytes = std::fs::read(format!("/proc/{pid}/{list}")).ok()?;
    let dir = bytes.split(|byte| *byte == 0).find_map(|item| item.strip_prefix(mark.as_bytes()))?;
    Some(PathBuf::from(String::from_utf8_lossy(dir).into_owned()))
}
