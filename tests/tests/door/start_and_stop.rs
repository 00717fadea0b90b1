//! How ingest starts, refuses to start, and stops under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::process::Signal;
use tokio::io::AsyncWriteExt as _;

use crate::load::{flows, load};
use crate::queue::EVENTS;
use crate::stage::{Stage, head, hear};

/// `EX_USAGE`.
const USAGE: Option<i32> = Some(64);

#[tokio::test]
async fn a_wrong_configuration_is_one_line_that_names_the_variable() -> Result<()> {
    for (variable, value, expected) in [
        ("KAPSO_WEBHOOK_SECRET", "", "ingest: KAPSO_WEBHOOK_SECRET is not set"),
        ("AMQP_URL", "", "ingest: AMQP_URL is not set"),
        ("AMQP_URL", "http://user:pa55word@host", "ingest: AMQP_URL is malformed"),
        ("INGEST_ADDR", "8000", "ingest: INGEST_ADDR is malformed"),
        ("BUZON_ENV", "staging", "ingest: BUZON_ENV is malformed"),
        ("RUST_LOG", "ingest=loud", "ingest: RUST_LOG is malformed"),
    ] {
        let stage = Stage::new().await?.with(variable, value);
        // Which environment it is matters only without a secret.
        let stage = if variable == "BUZON_ENV" { stage.with("KAPSO_WEBHOOK_SECRET", "") } else { stage };
        let finished = stage.finish(&[]).await?;
        assert_eq!(finished.code, USAGE, "{}", finished.log);
        assert!(finished.log.starts_with(expected), "{}", finished.log);
        assert_eq!(finished.log.lines().count(), 1, "{}", finished.log);
        assert!(!finished.log.contains("pa55word"), "{}", finished.log);
    }
    Ok(())
}

#[tokio::test]
async fn secrets_may_come_from_files() -> Result<()> {
    let file = harness::scratch::dir()?.join("secret");
    std::fs::write(&file, format!("{}\n", crate::stage::SECRET))?;
    let stage = Stage::new().await?.with("KAPSO_WEBHOOK_SECRET", "");
    let stage = stage.with("KAPSO_WEBHOOK_SECRET_FILE", &file.display().to_string());
    let _ingest = stage.ingest().await?;
    assert_eq!(stage.post_signed("{}", &[]).await?.status, 200);
    assert_eq!(stage.post("{}", &[]).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn an_address_in_use_is_said_and_ends_the_start() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let spool = stage.spool().with_file_name("another").display().to_string();
    let second = stage.with("BUZON_INGEST_METRICS_ADDR", "127.0.0.1:0").with("BUZON_SPOOL_DIR", &spool);
    let second = second.finish(&[]).await?;
    assert_eq!(second.code, Some(1));
    assert!(second.log.contains("set INGEST_ADDR"), "{}", second.log);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing_that_was_answered_200() -> Result<()> {
    let stage = Arc::new(Stage::new().await?);
    for _ in 0..3 {
        let mut ingest = stage.ingest().await?;
        let (accepted, posting) = load(&stage, 50).await;
        flows(&accepted, 500).await?;
        let start = Instant::now();
        let status = ingest.terminate(Duration::from_secs(25)).await?;
        assert_eq!(status.code(), Some(0), "{}", ingest.log());
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());

        let kept: Vec<_> = posting.join_all().await.into_iter().flatten().collect();
        let queued = stage.queue().await?.take_all(EVENTS).await?;
        let queued: BTreeSet<_> = queued.iter().map(|message| message.data.as_slice()).collect();
        for body in &kept {
            assert!(queued.contains(body.as_bytes()), "lost: {body}");
        }
    }
    Ok(())
}

/// A request that is under way when the stop comes is answered; the idle connection beside it does not hold it up.
#[tokio::test]
async fn a_stop_waits_for_what_is_under_way() -> Result<()> {
    let stage = Stage::new().await?.in_development();
    let mut ingest = stage.ingest().await?;
    stage.post("{}", &[]).await?;
    let mut slow = stage.dial().await?;
    slow.write_all((head(&["Content-Length: 2"]) + "{").as_bytes()).await?;
    stage.figure_becomes("buzon_body_bytes", 1.0).await?;
    ingest.process().signal(Signal::Terminate)?;
    harness::wait::until("the stop to begin", Duration::from_secs(5), async || {
        ingest.log().contains("stopping")
    })
    .await?;
    slow.write_all(b"}").await?;
    let answer = hear(&mut slow).await?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let status = ingest.process().end(Duration::from_secs(10)).await?;
    assert_eq!(status.code(), Some(0), "{}", ingest.log());
    assert_eq!(stage.queue().await?.take_all(EVENTS).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_stop_without_a_broker_is_quick() -> Result<()> {
    let stage = Stage::new().await?.with("AMQP_URL", "amqp://guest:guest@127.0.0.1:1");
    let mut ingest = stage.ingest_unready()?;
    ingest.answers("/livez", Duration::from_secs(10)).await?;
    let status = ingest.terminate(Duration::from_secs(5)).await?;
    assert_eq!(status.code(), Some(0), "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let stage = Stage::new().await?.in_development();
    let mut ingest = stage.ingest().await?;
    let mut slow = stage.dial().await?;
    slow.write_all((head(&["Content-Length: 2"]) + "{").as_bytes()).await?;
    stage.figure_becomes("buzon_body_bytes", 1.0).await?;
    ingest.process().signal(Signal::Terminate)?;
    harness::wait::until("the stop to begin", Duration::from_secs(5), async || {
        ingest.log().contains("stopping")
    })
    .await?;
    let status = ingest.terminate(Duration::from_secs(2)).await.context("it insisted on finishing")?;
    assert_eq!(status.code(), Some(143));
    Ok(())
}
