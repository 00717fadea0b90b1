//! One directory, one ingest.

use anyhow::Result;

use crate::stage::Stage;

#[tokio::test]
async fn a_second_owner_refuses_to_start() -> Result<()> {
    let stage = Stage::new().await?;
    let mut first = stage.ingest_alone().await?;
    let elsewhere = [("INGEST_ADDR", "127.0.0.1:0"), ("BUZON_INGEST_METRICS_ADDR", "127.0.0.1:0")];
    let second = stage.finish_with(&elsewhere).await?;
    assert_eq!(second.code, Some(1), "{}", second.log);
    let last = second.log.lines().last().unwrap_or_default();
    let directory = stage.spool().display().to_string();
    assert!(last.contains(&directory) && last.contains("BUZON_SPOOL_DIR"), "{}", second.log);
    // The claim ends with its process, even so.
    first.kill();
    stage.ingest_alone().await?;
    Ok(())
}

#[tokio::test]
async fn a_directory_that_can_not_be_used_ends_the_start() -> Result<()> {
    let stage = Stage::new().await?.with("BUZON_SPOOL_DIR", "/proc/no-such-directory");
    let finished = stage.finish(&[]).await?;
    assert_eq!(finished.code, Some(1), "{}", finished.log);
    let last = finished.log.lines().last().unwrap_or_default();
    assert!(last.contains("/proc/no-such-directory") && last.contains("set BUZON_SPOOL_DIR"), "{last}");
    Ok(())
}
