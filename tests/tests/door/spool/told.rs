//! What is said of the spool: readiness, figures, an alarm; and that it costs nothing.

use anyhow::Result;
use harness::wait;

use super::{segments, without_broker};
use crate::outages::{AT_ONCE, BACK_DEADLINE};
use crate::stage::{ANSWER_DEADLINE, Stage, events};

#[tokio::test]
async fn how_full_it_is_and_how_old() -> Result<()> {
    let (stage, proxy) = without_broker().await?;
    let stage = stage.with("BUZON_SPOOL_ALARM_SECONDS", "1");
    let ingest = stage.ingest_alone().await?;
    stage.part_becomes("spool", BACK_DEADLINE, |state| state == "ok, empty").await?;
    for id in 0..3 {
        stage.is_taken(id, AT_ONCE).await?;
    }
    let is_told = |state: &str| state.starts_with("ok, 3 webhooks, 1 % full, oldest ");
    stage.part_becomes("spool", BACK_DEADLINE, is_told).await?;
    stage.figure_becomes("buzon_spool_webhooks", 3.0).await?;
    stage.figure_becomes("buzon_spooling", 1.0).await?;
    stage.figure_becomes("buzon_spool_max_bytes", 1_073_741_824.0).await?;
    let on_disk = segments(&stage)?.iter().map(|path| Ok(path.metadata()?.len())).sum::<Result<u64>>()?;
    stage.figure_becomes("buzon_spool_bytes", on_disk as f64).await?;
    let alarms = || {
        let all = events(&ingest);
        all.iter().filter(|event| event["alarm"] == "spool_old" && event["level"] == "ERROR").count()
    };
    wait::until("the alarm", BACK_DEADLINE, async || alarms() == 1).await?;
    assert!(stage.figure("buzon_spool_oldest_seconds").await? > 1.0);

    proxy.accept().await?;
    stage.arrive(0..3).await?;
    stage.part_becomes("spool", BACK_DEADLINE, |state| state == "ok, empty").await?;
    stage.figure_becomes("buzon_spool_oldest_seconds", 0.0).await?;
    assert_eq!(alarms(), 1, "once a minute");
    Ok(())
}

/// While the broker is well, nothing is written.
#[tokio::test]
async fn it_costs_nothing_while_the_broker_is_well() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    for id in 0..20 {
        stage.is_taken(id, ANSWER_DEADLINE).await?;
    }
    let modified = std::fs::metadata(stage.spool())?.modified()?;
    for id in 20..200 {
        stage.is_taken(id, ANSWER_DEADLINE).await?;
    }
    assert_eq!(std::fs::metadata(stage.spool())?.modified()?, modified, "something was made or removed");
    assert!(segments(&stage)?.is_empty());
    stage.figure_becomes("buzon_webhooks_spooled_total", 0.0).await?;
    stage.arrive(0..200).await
}
