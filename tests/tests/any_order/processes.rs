//! The story through the programs themselves: posted to the door, signed, and taken from the broker by real workers.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::stage::{SECRET, Stage};
use harness::{sign, wait};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::permutation::Permutation;
use crate::state::{Effects, State};
use crate::story::Story;
use crate::{database, seeds, told, ways};

/// How many arrivals one worker takes, and how many several take.
const EACH: usize = 12;

/// How many workers several are.
const SEVERAL: usize = 3;

/// Within this a story is stored, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_real_workers() -> Result<()> {
    let story = Story::new();
    let expected = told::canonical(&story, Effects::Owed).await?;
    let first = seeds::first()?;
    let mut stage = Stage::new()
        .await?
        .with("KAPSO_PHONE_NUMBER_ID", ways::NUMBER)
        .with("BUZON_REPLY_MAX_AGE_SECONDS", ways::REPLY_MAX_AGE.whole_seconds().to_string());
    let _ingest = stage.ingest().await?;
    let mut collisions = 0;
    for workers in [1, SEVERAL] {
        let mut running = Vec::new();
        for window in [5, 1, 250].iter().take(workers) {
            stage.set("BUZON_WINDOW", window.to_string());
            running.push(stage.worker().await?);
        }
        for seed in (first..).take(EACH) {
            if let Err(error) = arrives(&stage, &story, &expected, seed).await {
                let seed = format!("{}={seed}, and this test with {workers} workers", seeds::SEED);
                anyhow::bail!("{error:#}\nTo see this one again: {seed}");
            }
        }
        for worker in &mut running {
            let status = worker.terminate(PATIENCE).await?;
            ensure!(status.success(), "a worker ended with {status}");
            collisions += ways::collisions(&worker.log());
        }
    }
    let report = format!("{} arrivals from seed {first}, {collisions} deadlocks", 2 * EACH);
    seeds::note(&format!("through_real_workers: {report}"));
    Ok(())
}

async fn arrives(stage: &Stage, story: &Story, expected: &State, seed: u64) -> Result<()> {
    // What is still on its way from the last arrival is a late duplicate of this one.
    database::empty(stage.pool(), true).await?;
    let permutation = Permutation::of(story, seed);
    let at_once = StdRng::seed_from_u64(seed).random_range(1..16);
    let posts = permutation.webhooks().map(async |webhook| {
        let signature = sign::hex(SECRET, &webhook.body)?;
        let mut headers: Vec<(&str, &str)> = webhook.hints.iter().collect();
        headers.push(("X-Webhook-Signature", &signature));
        let answer = stage.post(webhook.body.to_vec(), &headers).await?;
        ensure!(answer.status() == 200, "the door answers {}", answer.status());
        Ok(())
    });
    stream::iter(posts).buffer_unordered(at_once).try_collect::<Vec<()>>().await?;
    let sent: BTreeSet<Vec<u8>> = permutation.webhooks().map(|webhook| webhook.body.to_vec()).collect();
    wait::until("the story to be stored", PATIENCE, async || {
        let missing = told::missing(stage.pool(), &sent).await?;
        ensure!(missing == 0, "{missing} webhooks are missing");
        let found = State::of(stage.pool(), Effects::Owed).await?;
        ensure!(expected.same(&found), "{}", expected.difference(&found));
        Ok(true)
    })
    .await
}
