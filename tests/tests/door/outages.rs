//! The broker is away, blocked, cut off or silent: answers in time, no false 200, and back again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::proxy::Proxy;
use harness::servers::RabbitMq;
use harness::wait;
use tokio::task::JoinSet;

use crate::queue::EVENTS;
use crate::stage::{ANSWER_DEADLINE, Answer, Stage, events};

/// The longest pause between two attempts to connect, and time for the attempt itself.
const BACK_DEADLINE: Duration = Duration::from_secs(30);

/// A broker that is gone, or owes a confirm, is known to be away after this.
const KNOWN_DEADLINE: Duration = Duration::from_secs(5);

/// With the outage known, nobody waits for anything.
const AT_ONCE: Duration = Duration::from_millis(500);

impl Stage {
    /// Waits until ingest says that it is ready.
    pub(crate) async fn becomes_available(&self) -> Result<()> {
        self.readiness_becomes(200, BACK_DEADLINE).await
    }

    async fn readiness_becomes(&self, status: u16, within: Duration) -> Result<()> {
        wait::until(&format!("/readyz to answer {status}"), within, async || {
            let answer = self.get("/readyz").await?;
            ensure!(answer.status == status, "{} {}", answer.status, answer.body);
            Ok(true)
        })
        .await
    }

    /// Posts a webhook with an id of its own.
    async fn post_event(&self, id: usize) -> Result<Answer> {
        self.post_signed(format!(r#"{{"event_type":"a.test","n":{id}}}"#), &[]).await
    }

    async fn lies_in_the_queue(&self, id: usize) -> Result<()> {
        let all = self.queue().await?.take_all(EVENTS).await?;
        let body = format!(r#"{{"event_type":"a.test","n":{id}}}"#);
        ensure!(
            all.iter().any(|message| message.data == body.as_bytes()),
            "webhook {id} is not in the queue"
        );
        Ok(())
    }
}

fn is_unavailable(answer: &Answer, within: Duration) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.media_type, "application/problem+json");
    assert_eq!(answer.retry_after.as_deref(), Some("10"));
    assert!(answer.took < within, "took {:?}", answer.took);
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
    let mut ingest = stage.ingest_unready()?;
    ingest.answers("/livez", Duration::from_secs(10)).await?;
    for id in 0..3 {
        is_unavailable(&stage.post_event(id).await?, AT_ONCE);
    }
    let readiness = stage.get("/readyz").await?;
    assert_eq!((readiness.status, readiness.body.as_str()), (503, r#"{"broker":"not connected"}"#));
    let unhealthy = stage.finish(&["healthcheck"]).await?;
    assert_eq!(unhealthy.code, Some(1), "{}", unhealthy.log);

    proxy.accept().await?;
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(3).await?.status, 200);
    stage.lies_in_the_queue(3).await?;
    assert_eq!(stage.finish(&["healthcheck"]).await?.code, Some(0));
    assert_eq!(told(&ingest, "can't connect to RabbitMQ; trying for ever"), 1, "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn it_comes_back_after_its_connection_is_closed() -> Result<()> {
    let stage = Stage::new().await?;
    let ingest = stage.ingest().await?;
    for id in 0..3 {
        assert_eq!(stage.post_event(id).await?.status, 200);
        stage.node().ctl(&["close_all_connections", "--vhost", stage.vhost(), "closed by a test"]).await?;
        wait::until("a new connection", BACK_DEADLINE, async || {
            told(&ingest, "connected to RabbitMQ") == id + 2
        })
        .await?;
    }
    assert_eq!(stage.post_event(9).await?.status, 200);
    assert_eq!(stage.queue().await?.take_all(EVENTS).await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn it_comes_back_after_a_cut() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    let stage = stage.through(proxy.addr());
    let _ingest = stage.ingest().await?;
    proxy.refuse().await;
    proxy.cut().await;
    stage.readiness_becomes(503, KNOWN_DEADLINE).await?;
    is_unavailable(&stage.post_event(1).await?, AT_ONCE);
    proxy.accept().await?;
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(2).await?.status, 200);
    stage.lies_in_the_queue(2).await
}

/// Nothing is closed, nothing is refused, and no confirm comes.
#[tokio::test]
async fn a_silent_broker_is_not_waited_for() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = Proxy::to(stage.node().addr()).await?;
    let stage = Arc::new(stage.through(proxy.addr()));
    let ingest = stage.ingest().await?;
    proxy.stall();
    let mut posts = JoinSet::new();
    for id in 0..20 {
        let stage = Arc::clone(&stage);
        posts.spawn(async move { stage.post_event(id).await });
    }
    for answer in posts.join_all().await {
        is_unavailable(&answer?, ANSWER_DEADLINE);
    }
    // Now it is known to be away: long before heartbeats would tell.
    stage.readiness_becomes(503, KNOWN_DEADLINE).await?;
    is_unavailable(&stage.post_event(20).await?, AT_ONCE);
    proxy.resume();
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(21).await?.status, 200, "{}", ingest.log());
    stage.lies_in_the_queue(21).await
}

#[tokio::test]
async fn a_blocked_broker_is_not_waited_for() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    let stage = Stage::on(broker.node()).await?;
    let ingest = stage.ingest().await?;
    assert_eq!(stage.post_event(0).await?.status, 200);
    broker.block().await?;
    // The broker tells a connection only when it publishes.
    wait::until("the blockade to be known", BACK_DEADLINE, async || {
        let answer = stage.post_event(1).await?;
        ensure!(answer.took < ANSWER_DEADLINE, "took {:?}", answer.took);
        ensure!(answer.status == 503, "{}", answer.status);
        Ok(true)
    })
    .await?;
    for id in 2..5 {
        is_unavailable(&stage.post_event(id).await?, AT_ONCE);
    }
    let readiness = stage.get("/readyz").await?;
    assert_eq!(readiness.status, 503, "{}", readiness.body);
    stage.figure_becomes("buzon_broker_blocked", 1.0).await?;

    // Longer than any deadline: a blockade must not be taken for a stalled connection.
    tokio::time::sleep(Duration::from_secs(4)).await;
    broker.unblock().await?;
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(5).await?.status, 200, "{}", ingest.log());
    stage.lies_in_the_queue(5).await?;
    assert_eq!(told(&ingest, "connected to RabbitMQ"), 1, "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn a_start_beside_a_blocked_broker() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    let stage = Stage::on(broker.node()).await?;
    broker.block().await?;
    let _ingest = stage.ingest_unready()?;
    wait::until("an answer", BACK_DEADLINE, async || stage.post_event(0).await.is_ok()).await?;
    for id in 1..5 {
        is_unavailable(&stage.post_event(id).await?, ANSWER_DEADLINE);
    }
    broker.unblock().await?;
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(5).await?.status, 200);
    stage.lies_in_the_queue(5).await
}

#[tokio::test]
async fn what_was_answered_200_survives_a_kill_of_the_broker() -> Result<()> {
    let mut broker = RabbitMq::of_this_test().await?;
    let stage = Stage::on(broker.node()).await?;
    let _ingest = stage.ingest().await?;
    broker.sync_definitions().await?;
    let mut kept = Vec::new();
    for round in 0..2 {
        for id in round * 100..round * 100 + 50 {
            if stage.post_event(id).await?.status == 200 {
                kept.push(format!(r#"{{"event_type":"a.test","n":{id}}}"#));
            }
        }
        broker.kill();
        stage.readiness_becomes(503, KNOWN_DEADLINE).await?;
        is_unavailable(&stage.post_event(round * 100 + 50).await?, AT_ONCE);
        broker.restart().await?;
        stage.becomes_available().await?;
    }
    assert_eq!(kept.len(), 100);
    let all = stage.queue().await?.take_all(EVENTS).await?;
    for body in kept {
        assert!(all.iter().any(|message| message.data == body.as_bytes()), "lost: {body}");
    }
    Ok(())
}

#[tokio::test]
async fn another_topology_is_told_with_its_remedy() -> Result<()> {
    let stage = Stage::new().await?;
    let queue = stage.queue().await?;
    queue.declare_classic(EVENTS).await?;
    let ingest = stage.ingest_unready()?;
    wait::until("the remedy in the log", BACK_DEADLINE, async || {
        ingest.log().contains("rabbitmqctl delete_queue")
    })
    .await?;
    is_unavailable(&stage.post_event(0).await?, AT_ONCE);
    queue.delete(EVENTS).await?;
    stage.becomes_available().await?;
    assert_eq!(stage.post_event(1).await?.status, 200);
    Ok(())
}
