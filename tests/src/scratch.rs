//! Directories for what a test leaves behind: logs, data, empty working directories.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Set by `buzon-dev with-servers`: where the tests of this run put their things. Removed after a run that passed.
pub const TEST_DIR: &str = "BUZON_TEST_DIR";

/// What a test says that was started without what it needs.
pub const HOW_TO_RUN: &str = "no private servers for this test: run it by `make test`, \
     or `buzon-dev with-servers -- cargo test -p <package>`";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A fresh directory, named after the running test so that its logs can be found.
///
/// # Errors
///
/// When the tests were not started by `buzon-dev with-servers`, or it can't be made.
pub fn dir() -> Result<PathBuf> {
    let base = PathBuf::from(std::env::var_os(TEST_DIR).context(HOW_TO_RUN)?);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("test").replace("::", ".");
    let nth = MADE.fetch_add(1, Ordering::Relaxed);
    let dir = base.join(format!("{test}-{}-{nth}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    Ok(dir)
}

/// The last lines of a log, indented, for an error message; says so when there is none.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    if last.is_empty() {
        return format!("({} is empty)", log.display());
    }
    format!("the end of {}:\n    {}", log.display(), last.join("\n    "))
}
