//! Many clients that post webhooks, and remember what was answered 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use tokio::task::JoinSet;

use crate::stage::{ANSWER_DEADLINE, Stage};

/// Each client's pause between two: what piles up has to be drained in a test's time.
const BETWEEN: Duration = Duration::from_millis(20);

/// Counts up over all loads of a run, so that no two webhooks are one.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// Posts webhooks from many clients at once until the door is closed; gives back what was answered 200.
pub(crate) async fn load(stage: &Arc<Stage>, clients: usize) -> (Arc<AtomicUsize>, JoinSet<Vec<String>>) {
    let (mut posting, accepted) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..clients {
        let (stage, accepted) = (Arc::clone(stage), Arc::clone(&accepted));
        posting.spawn(async move {
            let mut kept = Vec::new();
            loop {
                let n = MADE.fetch_add(1, Ordering::Relaxed);
                let body = format!(r#"{{"event_type":"a.load","n":{n}}}"#);
                match stage.post_signed(body.clone(), &[]).await {
                    Ok(answer) if answer.status == 200 && answer.took < ANSWER_DEADLINE => {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        kept.push(body);
                    }
                    // It refuses nothing, in an outage or while it stops: it only stops to accept.
                    Ok(answer) => kept.push(format!("answered {} after {:?}", answer.status, answer.took)),
                    Err(_) => break,
                }
                tokio::time::sleep(BETWEEN).await;
            }
            kept
        });
    }
    (accepted, posting)
}

/// Waits until so many more were answered 200.
pub(crate) async fn flows(accepted: &AtomicUsize, more: usize) -> Result<()> {
    let before = accepted.load(Ordering::Relaxed);
    wait::until("the load to flow", Duration::from_secs(30), async || {
        let now = accepted.load(Ordering::Relaxed);
        ensure!(now > before + more, "{now} answered 200, {before} before");
        Ok(true)
    })
    .await
}
