//! Where the built programs are.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where the programs are, when that is not beside the running one.
pub const BIN_DIR: &str = "BUZON_BIN_DIR";

/// The built program of that name: in [`BIN_DIR`], else beside the running program or above it (a test runs in `deps`).
///
/// # Errors
///
/// When it has not been built.
pub fn path(program: &str) -> Result<PathBuf> {
    let found = match std::env::var_os(BIN_DIR) {
        Some(dir) => Some(PathBuf::from(dir).join(program)).filter(|path| path.is_file()),
        None => {
            let own = std::env::current_exe()?;
            own.ancestors().skip(1).take(3).map(|dir| dir.join(program)).find(|path| path.is_file())
        }
    };
    found.with_context(|| format!("`{program}` is not built: cargo build --workspace --bins"))
}
