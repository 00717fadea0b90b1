//! A log that nobody reads: a pipe that is full, as behind a log driver that hangs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::process::{Signal, send_signal};
use harness::wait;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::queue::EVENTS;
use crate::stage::Stage;

/// More lines than the pipe takes, and those that may wait for it.
const CLIENTS: usize = 32;
const EACH: usize = 320;

/// Some seconds, where nothing holds it up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_waits_for_who_reads_the_log() -> Result<()> {
    let stage = Arc::new(Stage::new().await?);
    let mut ingest = stage.ingest_with_unread_log()?;
    stage.becomes_available().await?;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let stage = Arc::clone(&stage);
        clients.spawn(async move {
            for nth in 0..EACH {
                let answer = stage.post_signed(format!(r#"{{"client":{client},"nth":{nth}}}"#), &[]).await?;
                ensure!(answer.status == 200, "answered {} after {:?}", answer.status, answer.took);
            }
            anyhow::Ok(())
        });
    }
    let answered = timeout(ANSWERED_WITHIN, clients.join_all()).await.context("the door hangs")?;
    answered.into_iter().collect::<Result<()>>()?;
    assert_eq!(stage.queue().await?.take_all(EVENTS).await?.len(), CLIENTS * EACH);
    wait::until("the lines left out to be counted", Duration::from_secs(20), async || {
        Ok::<_, anyhow::Error>(stage.figure("buzon_log_lines_left_out_total").await? > 0.0)
    })
    .await?;
    // Nor does the stop.
    let pid = ingest.id().context("it runs")?;
    send_signal(Signal::Terminate, pid)?;
    let status = timeout(Duration::from_secs(10), ingest.wait()).await.context("it stops")??;
    assert_eq!(status.code(), Some(0));
    Ok(())
}
