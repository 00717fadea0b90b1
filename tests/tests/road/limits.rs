//! What all workers that share a key of Kapso's API keep to together: its limits, what it says of waiting, and one
//! probe at a time while it fails. Counted by what the simulator was asked, and when.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::proxy::Proxy;
use harness::wait;
use kapso_sim::{Action, Call, Fault, InboundMessage, Outcome, Reply, SentIds, Times};

use crate::scene::{PATIENCE, Road, figure, holds, number};

/// How long a request can be under way.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The lease of a probe runs out after this: it is little longer than its request can be under way.
const PROBE_LEASE: Duration = Duration::from_secs(13);

/// How long a key that fails is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Probes after 1, 2, 4 and 8 seconds, and one that may have been on its way.
const PROBES_MEANWHILE: i64 = 5;

impl Road {
    async fn workers<const N: usize>(&self) -> Result<(Product, Vec<Product>)> {
        let ingest = self.stage.ingest().await?;
        let mut workers = Vec::new();
        for _ in 0..N {
            workers.push(self.stage.worker().await?);
        }
        Ok((ingest, workers))
    }

    /// A contact writes what nobody answers: it owes a mark alone.
    fn greets(&self, contact: usize) -> SentIds {
        self.sim.inbound(InboundMessage::text(number(contact), "Buenos días"))
    }

    /// Every call from now on has this answer.
    fn answers_all(&self, reply: Reply) {
        self.sim.fault(Fault::next_call(Outcome::Answer(reply)).times(Times::Chance(1.0)));
    }

    fn calls_of(&self, action: Action) -> Vec<Call> {
        self.sim.calls().into_iter().filter(|call| call.action == action).collect()
    }

    /// Waits until the key is held for this reason (empty: not held).
    async fn key_becomes(&self, hold: &str, patience: Duration) -> Result<()> {
        wait::until(&format!("the key to be held: {hold:?}"), patience, async || -> Result<bool> {
            let keys = self.texts("SELECT COALESCE(hold, '') FROM api_keys").await?;
            ensure!(keys == [hold], "{keys:?}");
            Ok(true)
        })
        .await
    }

    async fn attempts_made(&self) -> Result<i64> {
        self.count("SELECT count(*) FROM effect_attempts").await
    }

    /// Sees that a held key is probed, by one worker at a time, and by no more than that.
    async fn is_probed_only(&self) -> Result<()> {
        // What had left before the hold has come back.
        wait::until("at most a probe to be under way", PATIENCE, async || -> Result<bool> {
            Ok(self.count("SELECT count(*) FROM effects WHERE lease IS NOT NULL").await? <= 1)
        })
        .await?;
        let before = self.attempts_made().await?;
        holds("one at a time", WATCHED, async || {
            Ok(self.count("SELECT count(*) FROM effects WHERE lease IS NOT NULL").await? <= 1)
        })
        .await?;
        let probes = self.attempts_made().await? - before;
        ensure!((1..=PROBES_MEANWHILE).contains(&probes), "{probes} probes");
        Ok(())
    }

    /// Waits until so many effects are owed.
    async fn owed(&self, effects: i64) -> Result<()> {
        wait::until("the effects to be owed", PATIENCE, async || -> Result<bool> {
            let owed = self.count("SELECT count(*) FROM effects").await?;
            ensure!(owed == effects, "{owed}");
            Ok(true)
        })
        .await
    }
}

#[tokio::test]
async fn a_429_at_one_worker_slows_them_all() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.workers::<3>().await?;
    road.sim.fault(Fault::next_call(Outcome::Answer(Reply::rate_limited(8))));
    let mut asked = road.ask(0..1);
    wait::until("the refusal", PATIENCE, async || road.sim.calls().len() == 1).await?;
    asked.extend(road.ask(1..10));
    road.each_answered_once(&asked).await?;
    let at: Vec<i64> = road.sim.calls().iter().map(|call| call.at_ms).collect();
    assert!(at[1..].iter().all(|later| later - at[0] >= 8_000), "Retry-After was 8 s: {at:?}");
    Ok(())
}

#[tokio::test]
async fn the_limit_of_a_minute_holds_over_all_workers_and_replies_go_first() -> Result<()> {
    const LIMIT: usize = 10;
    let mut road = Road::new().await?;
    road.stage.set("BUZON_API_CALLS_A_MINUTE", LIMIT.to_string());
    let _programs = road.workers::<3>().await?;
    // One call is spent on a 429, under which much comes to be owed.
    road.sim.fault(Fault::next_call(Outcome::Answer(Reply::rate_limited(8))));
    let mut asked = road.ask(0..1);
    wait::until("the refusal", PATIENCE, async || road.sim.calls().len() == 1).await?;
    (100..109).for_each(|contact| drop(road.greets(contact)));
    asked.extend(road.ask(1..5));
    road.owed(19).await?;
    // More replies than this minute has calls left.
    asked.extend(road.ask(5..12));
    for ids in &asked {
        wait::until("a reply", Duration::from_secs(61) + PATIENCE, async || -> Result<bool> {
            Ok(road.effect(&ids.message_id, "send_text").await?.state == "done")
        })
        .await?;
    }
    let calls = road.sim.calls();
    let within =
        |from: &Call| calls.iter().filter(|call| (0..60_000).contains(&(call.at_ms - from.at_ms))).count();
    assert!(
        calls.iter().all(|from| within(from) <= LIMIT),
        "{:?}",
        calls.iter().map(within).collect::<Vec<_>>()
    );
    // Fourteen marks waited beside five replies, and then eleven: in that minute none of them left.
    assert_eq!(calls.iter().take(LIMIT).filter(|call| call.action == Action::Mark).count(), 0);
    assert_eq!(road.sim.accepted_sends().len(), asked.len());
    Ok(())
}

#[tokio::test]
async fn marks_leave_half_of_each_minute_to_replies() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_API_CALLS_A_MINUTE", "10");
    let _programs = road.workers::<2>().await?;
    (0..12).for_each(|contact| drop(road.greets(contact)));
    road.owed(12).await?;
    wait::until("the marks' share to be spent", PATIENCE, async || road.calls_of(Action::Mark).len() == 5)
        .await?;
    let ids = road.asks(50);
    road.effect_becomes(&ids.message_id, "send_text", "done").await?;
    let (marks, sends) = (road.calls_of(Action::Mark), road.calls_of(Action::Send));
    assert_eq!((marks.len(), sends.len()), (5, 1));
    // It was this minute's call, not the next one's.
    assert!(sends[0].at_ms - marks[0].at_ms < 60_000, "{marks:?} {sends:?}");
    Ok(())
}

#[tokio::test]
async fn what_fails_is_probed_until_it_answers() -> Result<()> {
    let road = Road::new().await?;
    let (_ingest, workers) = road.workers::<3>().await?;
    road.answers_all(Reply::server_error(500));
    let mut asked = road.ask(0..3);
    road.key_becomes("failing", PATIENCE).await?;
    asked.extend(road.ask(3..20));
    road.owed(40).await?;
    road.is_probed_only().await?;
    for worker in &workers {
        wait::until("the figure", PATIENCE, async || -> Result<bool> {
            Ok(figure(worker, "buzon_api_key_held{reason=\"failing\"}").await? > 0.0)
        })
        .await?;
    }
    road.sim.clear_faults();
    road.key_becomes("", PATIENCE).await?;
    road.each_answered_once(&asked).await
}

#[tokio::test]
async fn what_can_not_be_connected_is_probed_until_it_can() -> Result<()> {
    let mut road = Road::new().await?;
    let proxy = Proxy::to(road.sim.addr()).await?;
    proxy.refuse().await;
    road.stage.set("KAPSO_API_BASE_URL", format!("http://{}/api/v1", proxy.addr()));
    let _programs = road.workers::<3>().await?;
    let mut asked = road.ask(0..3);
    road.key_becomes("failing", PATIENCE).await?;
    asked.extend(road.ask(3..20));
    road.owed(40).await?;
    road.is_probed_only().await?;
    proxy.accept().await?;
    road.key_becomes("", PATIENCE).await?;
    road.each_answered_once(&asked).await
}

#[tokio::test]
async fn a_refused_token_is_told_once_and_probed_until_it_is_taken() -> Result<()> {
    let road = Road::new().await?;
    let (_ingest, workers) = road.workers::<3>().await?;
    road.answers_all(Reply::wrong_token());
    let mut asked = road.ask(0..1);
    road.key_becomes("token_refused", PATIENCE).await?;
    asked.extend(road.ask(1..10));
    road.owed(20).await?;
    // A probe a minute: none of them yet.
    holds("no call", WATCHED, async || Ok(road.sim.calls().len() == 1)).await?;
    let told = |line: &str| workers.iter().map(|worker| worker.log().matches(line).count()).sum::<usize>();
    assert_eq!(told("Kapso refuses the token"), 1);
    road.sim.clear_faults();
    road.key_becomes("", Duration::from_secs(60) + PATIENCE).await?;
    road.each_answered_once(&asked).await?;
    assert_eq!((told("Kapso refuses the token"), told("Kapso answers again")), (1, 1));
    Ok(())
}

/// The probe of a worker that was killed is waited for, as long as its request might be under way.
#[tokio::test]
async fn a_prober_that_is_killed_is_followed_by_one() -> Result<()> {
    let road = Road::new().await?;
    let (_ingest, mut workers) = road.workers::<1>().await?;
    let failure = Fault::next_call(Outcome::Answer(Reply::server_error(503))).times(Times::Next(5));
    road.sim.fault(failure);
    road.sim.fault(Fault::next_call(Outcome::Hang(Duration::from_secs(3600))));
    let first = road.asks(0);
    wait::until("the probe", PATIENCE, async || road.sim.calls().len() == 6).await?;
    road.key_becomes("failing", PATIENCE).await?;
    let probe = road
        .row("SELECT kind, lease - probe_until AS after FROM effects, api_keys WHERE lease_token = probe")
        .await?;
    workers.iter_mut().for_each(Product::kill);
    let _others = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let asked = road.ask(1..6);
    road.owed(12).await?;
    road.key_becomes("", PROBE_LEASE + PATIENCE).await?;
    for ids in &asked {
        road.effect_becomes(&ids.message_id, "send_text", "done").await?;
    }
    let calls = road.sim.calls();
    let waited = Duration::from_millis(u64::try_from(calls[6].at_ms - calls[5].at_ms)?);
    assert!(waited > REQUEST_TIMEOUT, "no second probe beside the first: {probe}, {waited:?}");
    assert!(waited < 2 * PROBE_LEASE, "no longer than it must be: {probe}, {waited:?}");
    let lost = "SELECT count(*) FROM effects WHERE state = 'unknown'";
    assert_eq!(road.count(lost).await?, 1, "{:?}", road.effects().await?);
    assert!(road.sends_asked(&first) <= 5);
    Ok(())
}
