//! The broker is away, blocked, cut off or silent: answered 200 in time all the same, and in the
//! queue when it is back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::proxy::Proxy;
use harness::servers::RabbitMq;
use harness::wait;
use tokio::task::JoinSet;

use crate::load::{flows, load};
use crate::queue::EVENTS;
use crate::stage::{ANSWER_DEADLINE, Answer, Stage, events};

/// The longest pause between two attempts to connect, and time for the attempt itself.
pub(crate) const BACK_DEADLINE: Duration = Duration::from_secs(30);

/// What is in the spool when the broker is back is in the queue after this. A webhook that the
/// broker refused by itself rests for up to 30 s.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);

/// A broker that is gone, or owes a confirm, is known to be away after this.
pub(crate) const KNOWN_DEADLINE: Duration = Duration::from_secs(5);

/// With the outage known, nobody waits for anything but the disk.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(500);

fn body(id: usize) -> String {
    format!(r#"{{"event_type":"a.test","n":{id}}}"#)
}

impl Stage {
    /// Waits until ingest says that its broker is well.
    pub(crate) async fn becomes_available(&self) -> Result<()> {
        self.part_becomes("broker", BACK_DEADLINE, |state| state == "ok").await
    }

    /// Waits until ingest says that its broker is not well.
    pub(crate) async fn becomes_unavailable(&self) -> Result<()> {
        self.part_becomes("broker", KNOWN_DEADLINE, |state| state != "ok").await
    }

    /// Waits until `/readyz` says of a part what it should.
    pub(crate) async fn part_becomes(
        &self,
        part: &str,
        within: Duration,
        is: impl Fn(&str) -> bool,
    ) -> Result<()> {
        wait::until(&format!("another state of the {part}"), within, async || {
            let answer = self.get("/readyz").await?;
            let parts: serde_json::Value = serde_json::from_str(&answer.body)?;
            ensure!(is(parts[part].as_str().unwrap_or_default()), "{} {}", answer.status, answer.body);
            Ok(true)
        })
        .await
    }

    /// Posts a webhook with an id of its own.
    pub(crate) async fn post_event(&self, id: usize) -> Result<Answer> {
        self.post_signed(body(id), &[]).await
    }

    /// Posts one that has to be answered 200, within this.
    pub(crate) async fn is_taken(&self, id: usize, within: Duration) -> Result<()> {
        let answer = self.post_event(id).await?;
        ensure!(answer.status == 200, "webhook {id}: {} {}", answer.status, answer.body);
        ensure!(answer.took < within, "webhook {id} took {:?}", answer.took);
        Ok(())
    }

    /// Waits until each of these is, or was, in the queue.
    pub(crate) async fn arrive(&self, ids: impl IntoIterator<Item = usize>) -> Result<()> {
        self.bodies_arrive(ids.into_iter().map(body).collect()).await
    }

    pub(crate) async fn bodies_arrive(&self, mut missing: BTreeSet<String>) -> Result<()> {
        wait::until("all webhooks to be in the queue", DRAIN_DEADLINE, async || {
            // Anew for each look: an error, such as that there is no queue yet, ends a channel.
            for body in self.queue().await?.consume_some(EVENTS).await? {
                missing.remove(&body);
            }
            ensure!(missing.is_empty(), "{} are missing, such as {:?}", missing.len(), missing.first());
            Ok(true)
        })
        .await
    }
}

fn told(ingest: &Product, message: &str) -> usize {
    events(ingest).iter().filter(|event| event["message"] == message).count()
}

#[tokio::test]
async fn it_starts_without_a_broker_and_connects_when_it_comes() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    proxy.refuse().await;
    let stage = stage.through(proxy.addr());
    // It is ready: it can make a webhook durable.
    let ingest = stage.ingest_alone().await?;
    for id in 0..3 {
        stage.is_taken(id, AT_ONCE).await?;
    }
    stage.becomes_unavailable().await?;
    assert_eq!(stage.finish(&["healthcheck"]).await?.code, Some(0));

    proxy.accept().await?;
    stage.becomes_available().await?;
    stage.arrive(0..3).await?;
    stage.figure_becomes("buzon_spooling", 0.0).await?;
    stage.is_taken(3, ANSWER_DEADLINE).await?;
    stage.arrive([3]).await?;
    stage.figure_becomes("buzon_webhooks_spooled_total", 3.0).await?;
    stage.figure_becomes("buzon_webhooks_drained_total", 3.0).await?;
    assert_eq!(told(&ingest, "can't connect to RabbitMQ; trying for ever"), 1, "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn it_comes_back_after_its_connection_is_closed() -> Result<()> {
    let stage = Stage::new().await?;
    let ingest = stage.ingest().await?;
    for id in 0..3 {
        stage.is_taken(id, ANSWER_DEADLINE).await?;
        stage.node().ctl(&["close_all_connections", "--vhost", stage.vhost(), "closed by a test"]).await?;
        wait::until("a new connection", BACK_DEADLINE, async || {
            told(&ingest, "connected to RabbitMQ") == id + 2
        })
        .await?;
    }
    stage.is_taken(9, ANSWER_DEADLINE).await?;
    stage.arrive([0, 1, 2, 9]).await
}

#[tokio::test]
async fn it_comes_back_after_a_cut() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    let stage = stage.through(proxy.addr());
    let _ingest = stage.ingest().await?;
    proxy.refuse().await;
    proxy.cut().await;
    stage.becomes_unavailable().await?;
    stage.is_taken(1, AT_ONCE).await?;
    proxy.accept().await?;
    stage.becomes_available().await?;
    stage.is_taken(2, ANSWER_DEADLINE).await?;
    stage.arrive([1, 2]).await
}

/// Nothing is closed, nothing is refused, and no confirm comes.
#[tokio::test]
async fn a_silent_broker_is_not_waited_for() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    let stage = Arc::new(stage.through(proxy.addr()));
    let _ingest = stage.ingest().await?;
    proxy.stall();
    let mut posts = JoinSet::new();
    for id in 0..20 {
        let stage = Arc::clone(&stage);
        posts.spawn(async move { stage.is_taken(id, ANSWER_DEADLINE).await });
    }
    for taken in posts.join_all().await {
        taken?;
    }
    // Now nobody waits for it any more: long before heartbeats would tell.
    stage.is_taken(20, AT_ONCE).await?;
    stage.becomes_unavailable().await?;
    proxy.resume();
    stage.becomes_available().await?;
    stage.is_taken(21, ANSWER_DEADLINE).await?;
    stage.arrive(0..22).await?;
    stage.figure_becomes("buzon_spooling", 0.0).await
}

#[tokio::test]
async fn a_blocked_broker_is_not_waited_for() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    let stage = Stage::on(broker.node()).await?;
    let ingest = stage.ingest().await?;
    stage.is_taken(0, ANSWER_DEADLINE).await?;
    broker.block().await?;
    // The broker tells a connection only when it publishes: the first one finds out.
    stage.is_taken(1, ANSWER_DEADLINE).await?;
    stage.figure_becomes("buzon_broker_blocked", 1.0).await?;
    for id in 2..20 {
        stage.is_taken(id, AT_ONCE).await?;
    }
    stage.becomes_unavailable().await?;
    assert_eq!(stage.get("/readyz").await?.status, 200);

    // Longer than any deadline: a blockade must not be taken for a stalled connection.
    tokio::time::sleep(Duration::from_secs(4)).await;
    broker.unblock().await?;
    stage.becomes_available().await?;
    stage.is_taken(20, ANSWER_DEADLINE).await?;
    stage.arrive(0..21).await?;
    assert_eq!(told(&ingest, "connected to RabbitMQ"), 1, "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn a_start_beside_a_blocked_broker() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    let stage = Stage::on(broker.node()).await?;
    broker.block().await?;
    let _ingest = stage.ingest_alone().await?;
    for id in 0..5 {
        stage.is_taken(id, ANSWER_DEADLINE).await?;
    }
    broker.unblock().await?;
    stage.becomes_available().await?;
    stage.is_taken(5, ANSWER_DEADLINE).await?;
    stage.arrive(0..6).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_200_survives_a_kill_of_the_broker() -> Result<()> {
    let mut broker = RabbitMq::of_this_test().await?;
    let stage = Arc::new(Stage::on(broker.node()).await?);
    let mut ingest = stage.ingest().await?;
    stage.is_taken(0, ANSWER_DEADLINE).await?;
    broker.sync_definitions().await?;
    let (accepted, posting) = load(&stage, 20).await;
    for _ in 0..2 {
        flows(&accepted, 300).await?;
        broker.kill();
        flows(&accepted, 300).await?;
        broker.restart().await?;
        stage.becomes_available().await?;
    }
    flows(&accepted, 300).await?;
    ingest.terminate(Duration::from_secs(25)).await?;
    let kept = posting.join_all().await.into_iter().flatten().collect();
    // What was still in the spool.
    let _again = stage.ingest().await?;
    stage.bodies_arrive(kept).await
}

/// A full queue: the broker says no to each message but the first, and is well otherwise.
#[tokio::test]
async fn what_the_broker_refuses_is_taken_and_goes_on_when_it_does_not() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let full = r#"{"max-length":1}"#;
    stage.node().ctl(&["set_policy", "-p", stage.vhost(), "full", "^buzon.events$", full]).await?;
    wait::until("a refusal", BACK_DEADLINE, async || {
        stage.is_taken(0, ANSWER_DEADLINE).await?;
        anyhow::Ok(stage.figure(r#"buzon_publishes_failed_total{reason="refused"}"#).await? > 0.0)
    })
    .await?;
    for id in 1..5 {
        stage.is_taken(id, AT_ONCE).await?;
    }
    // Looking for them, the test takes them out.
    stage.arrive(0..5).await
}

#[tokio::test]
async fn another_topology_ends_the_start_and_is_told_with_its_remedy() -> Result<()> {
    let stage = Stage::new().await?;
    stage.queue().await?.declare_classic(EVENTS).await?;
    let finished = stage.finish(&[]).await?;
    assert_eq!(finished.code, Some(78), "{}", finished.log);
    let last = finished.log.lines().last().unwrap_or_default();
    assert!(last.starts_with("ingest: ") && last.contains("rabbitmqctl delete_queue"), "{}", finished.log);
    Ok(())
}

/// Found later, it is an outage like others.
#[tokio::test]
async fn another_topology_at_a_reconnect_is_waited_out() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    let stage = stage.through(proxy.addr());
    let ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    proxy.refuse().await;
    proxy.cut().await;
    queue.delete(EVENTS).await?;
    queue.declare_classic(EVENTS).await?;
    proxy.accept().await?;
    wait::until("the remedy in the log", BACK_DEADLINE, async || {
        ingest.log().contains("rabbitmqctl delete_queue")
    })
    .await?;
    stage.is_taken(0, AT_ONCE).await?;
    queue.delete(EVENTS).await?;
    stage.becomes_available().await?;
    stage.arrive([0]).await
}

/// A broker that comes long after the start is no reason to stop either: the spool is in use.
#[tokio::test]
async fn another_topology_that_is_met_late_is_waited_out() -> Result<()> {
    const STARTED: Duration = Duration::from_secs(11);
    let stage = Stage::new().await?;
    let queue = stage.queue().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    proxy.refuse().await;
    let stage = stage.through(proxy.addr());
    let ingest = stage.ingest_alone().await?;
    stage.is_taken(0, AT_ONCE).await?;
    queue.declare_classic(EVENTS).await?;
    tokio::time::sleep(STARTED).await;
    proxy.accept().await?;
    wait::until("the remedy in the log", BACK_DEADLINE, async || {
        ingest.log().contains("rabbitmqctl delete_queue")
    })
    .await?;
    stage.is_taken(1, AT_ONCE).await?;
    queue.delete(EVENTS).await?;
    stage.becomes_available().await?;
    stage.arrive(0..2).await
}
