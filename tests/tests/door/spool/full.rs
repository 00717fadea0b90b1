//! A full disk, and a full spool: 503 with `Retry-After`, while what is there is drained.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;

use super::without_broker;
use crate::outages::{AT_ONCE, BACK_DEADLINE};
use crate::stage::Stage;

/// A small file system, taken away with its handle. Only root can have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(dir: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(dir)?;
        let options = ["-t", "tmpfs", "-o", "size=256k", "buzon-test"];
        let mounted = Command::new("mount").args(options).arg(dir).output();
        Ok(mounted.is_ok_and(|done| done.status.success()).then(|| Self(dir.to_owned())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it keeps it as long.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// By the bound, which everybody can reach.
#[tokio::test]
async fn a_full_spool_is_said_and_drained() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    fills_and_drains(&bounded(stage), &proxy).await
}

/// By the disk; by the bound where nobody may mount one.
#[tokio::test]
async fn a_full_disk_is_said_and_drained() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    let disk = SmallDisk::at(&stage.spool())?;
    let stage = if disk.is_some() { stage } else { bounded(stage) };
    fills_and_drains(&stage, &proxy).await
}

fn bounded(stage: Stage) -> Stage {
    stage.with("BUZON_MAX_BODY_BYTES", "20000").with("BUZON_SPOOL_MAX_BYTES", "200000")
}

async fn fills_and_drains(stage: &Stage, proxy: &harness::proxy::Proxy) -> Result<()> {
    let mut ingest = stage.ingest_alone().await?;
    let large = |id: usize| format!(r#"{{"event_type":"a.test","n":{id},"x":"{}"}}"#, "x".repeat(15_000));
    let mut kept = std::collections::BTreeSet::new();
    let refused = loop {
        let answer = stage.post_signed(large(kept.len()), &[]).await?;
        if answer.status != 200 {
            break answer;
        }
        kept.insert(large(kept.len()));
        ensure!(kept.len() < 100, "it takes more than there is room for");
    };
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.media_type, "application/problem+json");
    assert_eq!(refused.retry_after.as_deref(), Some("10"));
    assert!(refused.took < AT_ONCE, "took {:?}", refused.took);
    assert!(kept.len() > 5, "{}", kept.len());
    stage.part_becomes("spool", BACK_DEADLINE, |state| state.starts_with("the spool is full")).await?;
    assert_eq!(stage.get("/readyz").await?.status, 503);
    assert!(stage.figure(r#"buzon_spool_failures_total{reason="full"}"#).await? > 0.0);

    // Killed and started on the full disk, it begins where it was.
    ingest.kill();
    let mut ingest = stage.ingest_unready()?;
    ingest.answers("/livez", BACK_DEADLINE).await?;
    assert_eq!(stage.post_signed(large(100), &[]).await?.status, 503, "{}", ingest.log());
    proxy.accept().await?;
    stage.bodies_arrive(kept).await?;
    stage.becomes_available().await?;
    proxy.refuse().await;
    proxy.cut().await;
    wait::until("room", Duration::from_secs(20), async || {
        let answer = stage.post_signed(large(101), &[]).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(true)
    })
    .await?;
    stage.part_becomes("spool", BACK_DEADLINE, |state| state.starts_with("ok")).await?;
    proxy.accept().await?;
    stage.bodies_arrive([large(101)].into()).await
}
