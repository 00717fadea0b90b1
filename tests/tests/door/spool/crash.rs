//! `kill -9` at any point: what was answered 200 arrives.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::process::Signal;

use super::{segments, without_broker};
use crate::load::{flows, load};
use crate::outages::AT_ONCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spooled_survives_kills_while_spooling_and_while_draining() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    let stage = Arc::new(stage);
    let mut kept = BTreeSet::new();
    for round in 0..8 {
        let mut ingest = stage.ingest_alone().await?;
        let (accepted, posting) = load(&stage, 30).await;
        flows(&accepted, 100 + 50 * round).await?;
        ingest.kill();
        kept.extend(posting.join_all().await.into_iter().flatten());
    }
    proxy.accept().await?;
    for round in 0..6_u32 {
        let mut ingest = stage.ingest_alone().await?;
        harness::wait::until("some to be drained", Duration::from_secs(30), async || {
            let drained = stage.figure("buzon_webhooks_drained_total").await?;
            let left = stage.figure("buzon_spool_webhooks").await?;
            anyhow::Ok(drained > f64::from(round * 20) || left == 0.0)
        })
        .await?;
        ingest.kill();
    }
    let _ingest = stage.ingest_alone().await?;
    stage.bodies_arrive(kept).await?;
    stage.figure_becomes("buzon_spool_bytes", 0.0).await?;
    stage.figure_becomes("buzon_spool_unreadable_total", 0.0).await?;
    assert!(segments(&stage)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_torn_end_costs_what_was_torn_and_nothing_else() -> Result<()> {
    for cut in [1, 40] {
        let (stage, proxy) = without_broker().await?;
        let mut ingest = stage.ingest_alone().await?;
        for id in 0..5 {
            stage.is_taken(id, AT_ONCE).await?;
        }
        ingest.kill();
        let newest = segments(&stage)?.pop().context("a segment")?;
        let file = std::fs::File::options().write(true).open(&newest)?;
        // The last one is cut as no crash would: it was synced. It stands for one that was not.
        file.set_len(file.metadata()?.len() - cut)?;

        let mut ingest = stage.ingest_alone().await?;
        stage.is_taken(5, AT_ONCE).await?;
        proxy.accept().await?;
        stage.arrive([0, 1, 2, 3, 5]).await?;
        stage.figure_becomes("buzon_spool_unreadable_total", 0.0).await?;
        stage.figure_becomes("buzon_spool_bytes", 0.0).await?;
        assert!(ingest.log().contains("an unfinished end of a segment is ignored"), "{}", ingest.log());
        ingest.kill();
    }
    Ok(())
}

#[tokio::test]
async fn damage_costs_itself_only_and_is_told() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    let mut ingest = stage.ingest_alone().await?;
    for id in 0..3 {
        stage.is_taken(id, AT_ONCE).await?;
    }
    ingest.kill();
    let segment = segments(&stage)?.pop().context("a segment")?;
    let mut bytes = std::fs::read(&segment)?;
    let third = bytes.len() / 3;
    bytes[third + third / 2] ^= 0x10;
    std::fs::write(&segment, bytes)?;
    std::fs::File::options().append(true).open(&segment)?.write_all(b"written by nobody, at the end")?;

    let ingest = stage.ingest_alone().await?;
    stage.is_taken(3, AT_ONCE).await?;
    proxy.accept().await?;
    stage.arrive([0, 2, 3]).await?;
    stage.figure_becomes("buzon_spool_unreadable_total", 2.0).await?;
    let damaged = segment.with_extension("damaged");
    harness::wait::until("it to be kept", Duration::from_secs(10), async || damaged.exists()).await?;
    let told = || ingest.log().contains("a part of the spool can't be read");
    harness::wait::until("the log", Duration::from_secs(10), async || told()).await?;
    Ok(())
}

/// SIGTERM under load and without a broker: what is left is drained by the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_the_spool_to_the_next_start() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    let stage = Arc::new(stage);
    let mut kept = BTreeSet::new();
    for _ in 0..2 {
        let mut ingest = stage.ingest_alone().await?;
        let (accepted, posting) = load(&stage, 30).await;
        flows(&accepted, 200).await?;
        let status = ingest.terminate(Duration::from_secs(15)).await?;
        assert_eq!(status.code(), Some(0), "{}", ingest.log());
        kept.extend(posting.join_all().await.into_iter().flatten());
    }
    // And one that drains when it is stopped, twice asked.
    proxy.accept().await?;
    let mut ingest = stage.ingest_alone().await?;
    ingest.process().signal(Signal::Terminate)?;
    ingest.terminate(Duration::from_secs(10)).await?;
    let _ingest = stage.ingest_alone().await?;
    stage.bodies_arrive(kept).await
}
