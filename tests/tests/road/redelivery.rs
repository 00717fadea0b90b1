//! The same fact again: delivered twice by the sender, told in other words, redelivered by the broker.

use anyhow::{Result, ensure};
use bytes::Bytes;
use contract::envelope::{Envelope, Hints, WebhookId};
use contract::kind::Kind;
use contract::topology::EVENTS_EXCHANGE;
use harness::wait;
use kapso_sim::{DeliveryState, InboundMessage};
use lapin::options::BasicPublishOptions;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

use crate::scene::{A_WHILE, PATIENCE, Road, holds, number};

impl Road {
    /// Nothing that was there already may send a window to the slow lane.
    async fn all_in_the_fast_lane(&self) -> Result<()> {
        assert_eq!(self.texts("SELECT kind FROM webhooks WHERE attempts > 0").await?, [""; 0]);
        assert_eq!(self.count("SELECT count(*) FROM dead_letters").await?, 0);
        Ok(())
    }
}

#[tokio::test]
async fn a_webhook_that_comes_three_times_is_one_row_and_one_reply() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, worker] = road.open().await?;
    let thrice = |contact| InboundMessage { duplicates: 2, ..InboundMessage::text(number(contact), "Ayuda") };
    let mut asked: Vec<_> = (0..10).map(|contact| road.sim.inbound(thrice(contact))).collect();
    road.each_answered_once(&asked).await?;
    // Once more, long after, among others that are new: these must not pay for those.
    let first: Vec<u64> = road.sim.deliveries().iter().map(|delivery| delivery.number).take(10).collect();
    for (contact, delivery) in (10..).zip(first) {
        ensure!(road.sim.repeat(delivery).is_some());
        asked.push(road.asks(contact));
    }
    road.each_answered_once(&asked).await?;
    assert_eq!(road.count("SELECT count(*) FROM webhooks").await?, 20);
    assert!(!worker.log().contains("slow lane"), "{}", worker.log());
    road.all_in_the_fast_lane().await?;
    holds("one reply each", A_WHILE, async || Ok(road.sim.accepted_sends().len() == 20)).await
}

#[tokio::test]
async fn two_workers_with_every_webhook_at_once_answer_once() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let asked = road.ask(0..30);
    for delivery in road.sim.deliveries() {
        // Without waiting for the first: both workers may have it in hand.
        for _ in 0..3 {
            ensure!(road.sim.repeat(delivery.number).is_some());
        }
    }
    road.each_answered_once(&asked).await?;
    let delivered = road.sim.deliveries().iter().filter(|it| it.state == DeliveryState::Delivered).count();
    assert_eq!((delivered, road.count("SELECT count(*) FROM webhooks").await?), (120, 30));
    road.all_in_the_fast_lane().await
}

#[tokio::test]
async fn the_same_message_in_another_webhook_is_answered_once() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let asked = [road.asks(0)];
    road.each_answered_once(&asked).await?;
    let body: Value = serde_json::from_slice(&road.sim.deliveries()[0].body)?;
    road.sim.send_webhook("message.received", serde_json::to_vec_pretty(&body)?);
    road.each_answered_once(&asked).await?;
    assert_eq!(road.count("SELECT count(*) FROM webhooks").await?, 2);
    road.all_in_the_fast_lane().await
}

/// The worker is killed three times over the same deliveries: from then on they are suspected, and go one by one.
#[tokio::test]
async fn what_was_in_hand_at_three_kills_leaves_the_fast_lane() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let asked = road.ask(0..5);
    road.all_answered().await?;
    for _ in 0..3 {
        let barrier = road.barrier().await?;
        let mut worker = road.stage.worker_unready()?;
        road.held_up(1).await?;
        road.kill(&mut worker, 5).await?;
        barrier.lift().await?;
    }
    let barrier = road.barrier().await?;
    let mut worker = road.stage.worker().await?;
    // Archived before they are even decoded, though nothing can be projected.
    wait::until("them to be set aside", PATIENCE, async || -> Result<bool> {
        let pending =
            "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL AND dialect IS NULL";
        Ok(road.count(pending).await? == 5)
    })
    .await?;
    barrier.lift().await?;
    road.each_answered_once(&asked).await?;
    assert_eq!(
        road.count("SELECT count(*) FROM webhooks WHERE attempts = 1 AND dialect = 'guide'").await?,
        5
    );
    // The broker holds them no more.
    road.kill(&mut worker, 0).await
}

/// What somebody has resolved stays resolved, though the sender tries the same webhook again.
#[tokio::test]
async fn a_retry_does_not_open_a_dead_letter_again() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let becomes = async |dead: i64, asked: i64| {
        wait::until("what was sent to be stored", PATIENCE, async || {
            let found = road.count("SELECT count(*) FROM dead_letters").await?;
            let stored = road.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await?;
            ensure!((found, stored) == (dead, asked), "{found} dead letters, {stored} messages");
            Ok(true)
        })
        .await
    };
    ensure!(road.stage.post_signed("no JSON").await?.status() == 200);
    becomes(1, 0).await?;
    sqlx::query("UPDATE dead_letters SET resolved_at = now()").execute(&road.pool).await?;
    ensure!(road.stage.post_signed("no JSON").await?.status() == 200);
    // It is behind the other in the queue: when it is stored, that one has been.
    let _ids = road.asks(1);
    becomes(1, 1).await?;
    assert_eq!(road.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL").await?, 0);
    Ok(())
}

/// Somebody else publishes to the exchange, and writes what no text of Postgres' can hold: it costs itself only.
#[tokio::test]
async fn an_envelope_with_a_nul_in_it_holds_up_nobody() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let kind = Kind::new("message.received");
    let body = Bytes::from_static(b"{}");
    let id = WebhookId::of(&kind, &body);
    let by = "secret:\0".to_owned();
    let strange = Envelope::recall(id, kind, time::OffsetDateTime::now_utc(), by, Hints::default(), body);
    let connection =
        Connection::connect(road.stage.setting("AMQP_URL"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (exchange, key) = (EVENTS_EXCHANGE.into(), strange.kind.as_str().into());
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange, key, options, &strange.body, strange.properties()).await?;
    connection.close(200, "done".into()).await?;
    road.each_answered_once(&road.ask(0..3)).await?;
    let found = road.texts("SELECT verified_by FROM webhooks WHERE body = '{}'").await?;
    assert_eq!(found, ["secret:\u{fffd}"]);
    Ok(())
}
