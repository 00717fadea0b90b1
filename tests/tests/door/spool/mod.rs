//! The spool, from outside: kills, full disks, owners, and what is said of it.

mod crash;
mod full;
mod owner;
mod told;

use std::path::PathBuf;

use anyhow::{Context, Result};
use harness::proxy::Proxy;

use crate::stage::Stage;

/// A stage whose broker can be reached only when the proxy accepts.
async fn without_broker() -> Result<(Stage, Proxy)> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    proxy.refuse().await;
    Ok((stage.through(proxy.addr()), proxy))
}

/// The segments of a stage's spool, the oldest first.
fn segments(stage: &Stage) -> Result<Vec<PathBuf>> {
    let dir = stage.spool();
    let all = std::fs::read_dir(&dir).with_context(|| format!("no spool in {}", dir.display()))?;
    let all: Vec<_> = all.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    let mut segments: Vec<_> =
        all.into_iter().filter(|path| path.extension().is_some_and(|is| is == "segment")).collect();
    segments.sort();
    Ok(segments)
}
