//! Directories for what a test leaves behind: logs, data, empty working directories.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::process::leftovers;

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

/// The checkout: the nearest directory, from here upwards, that has the migrations in it.
///
/// # Errors
///
/// When there is none.
pub fn checkout() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root =
        here.ancestors().find(|dir| dir.join("migrations").is_dir() && dir.join("Cargo.toml").is_file());
    root.map(Into::into)
        .context("not in a checkout of Buzón: no directory above has `migrations` and `Cargo.toml`")
}

/// Stops and removes what earlier runs left in `home`, in directories named by `prefix` and a process id: those that
/// were killed, and those kept for a look.
///
/// # Errors
///
/// When something can't be stopped or removed.
pub async fn remove_dead_runs(home: &Path, prefix: &str) -> Result<()> {
    for run in std::fs::read_dir(home)?.flatten() {
        let name = run.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            leftovers::stop(&run.path()).await?;
            unmount_below(&run.path());
            std::fs::remove_dir_all(run.path())?;
        }
    }
    Ok(())
}

/// A run that was killed could not do it. What can't be unmounted is noticed when the directory is removed.
fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    for point in points.filter(|point| point.starts_with(dir)) {
        std::process::Command::new("umount").arg("--lazy").arg(point).status().ok();
    }
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
