//! How long a worker holds what it can't store, and what becomes of it when it may not hold it any longer.

use std::time::Duration;

use anyhow::{Result, ensure};
use contract::broker::Broker;
use contract::health::Health;
use contract::settings::Settings;
use harness::servers::{Postgres, RabbitMq};
use harness::stage::Stage;
use harness::wait;
use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use worker::consume::{self, Consumer};
use worker::effects::{Policy, RuleBook};
use worker::kapso::ApiStyle;
use worker::outage::{self, Outages};
use worker::store::Store;

use crate::scene::{A_WHILE, PATIENCE, Road, holds};

/// An hour's outage can't be waited for; what it does to a hold can.
const HOLD: Duration = Duration::from_secs(2);

impl Road {
    /// What a worker consumes with, in this process, with a short hold.
    async fn consumer(&self) -> Result<Consumer> {
        let settings = Settings::from_values([("AMQP_URL", self.stage.setting("AMQP_URL"))])?;
        let policy = Policy {
            off: Some("a test of consuming"),
            book: RuleBook::default(),
            phone_number_id: None,
            api: ApiStyle::Conversation.into(),
        };
        let pool = PgPoolOptions::new().connect(self.stage.setting("DATABASE_URL")).await?;
        Ok(Consumer {
            broker: Broker::from_settings(&settings, "buzon-test")?,
            store: Store::new(pool, policy),
            settings: consume::Settings { prefetch: 1000, window: 4, hold: HOLD },
        })
    }

    async fn rename(&self, sql: &'static str) -> Result<()> {
        Ok(sqlx::query(sql).execute(&self.pool).await.map(drop)?)
    }

    /// Deletes our queue, with what waits in it.
    async fn delete_queue(&self) -> Result<()> {
        let url = self.stage.setting("AMQP_URL");
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.queue_delete("buzon.events".into(), QueueDeleteOptions::default()).await?;
        Ok(connection.close(200, "deleted".into()).await?)
    }

    /// Waits until somebody consumes our queue, and nothing waits in it.
    async fn is_consumed(&self) -> Result<()> {
        wait::until("the queue to be consumed", PATIENCE, async || {
            let queue = self.queue().await?;
            ensure!(queue == (0, 1), "{} wait, {} consume", queue.0, queue.1);
            Ok(true)
        })
        .await
    }
}

#[tokio::test]
async fn deliveries_held_too_long_are_given_back_once_and_stored_once() -> Result<()> {
    let road = Road::new().await?;
    let _ingest = road.stage.ingest().await?;
    let health = Health::of(&[outage::HEALTH, consume::HEALTH]);
    let stop = CancellationToken::new();
    let consuming =
        tokio::spawn(road.consumer().await?.run(Outages::new(health.clone()), health.clone(), stop.clone()));
    // What waits before anybody consumes looks as if it had been given back.
    road.is_consumed().await?;
    road.rename("ALTER TABLE messages RENAME TO elsewhere").await?;
    let asked = road.ask(0..10);
    road.all_answered().await?;
    road.becomes_given_back(10).await?;
    // Not before something can be stored does it consume again, though the schema is what it was.
    holds("given back", HOLD * 5, async || Ok(road.queue().await? == (10, 0) && !health.is_ready())).await?;
    road.rename("ALTER TABLE elsewhere RENAME TO messages").await?;
    road.nothing_lost().await?;
    road.is_consumed().await?;
    wait::until("it to be ready", PATIENCE, async || health.is_ready()).await?;
    stop.cancel();
    consuming.await??;
    road.becomes_given_back(0).await?;
    // Given back once: nothing came so often that it is suspected.
    assert_eq!(road.count("SELECT count(*) FROM webhooks WHERE attempts > 0").await?, 0);
    assert_eq!(
        road.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await?,
        i64::try_from(asked.len())?
    );
    Ok(())
}

/// A broker that is less patient than the worker closes the channel over deliveries that are held.
#[tokio::test]
async fn the_consumer_time_out_strikes_through_an_outage() -> Result<()> {
    let (postgres, broker) = (Postgres::of_this_test().await?, RabbitMq::of_this_test().await?);
    let impatient = "application:set_env(rabbit, consumer_timeout, 1000),
         application:set_env(rabbit, channel_tick_interval, 500)";
    broker.node().eval(impatient).await?;
    let road = Road::with(crate::scene::kapso(), Stage::on(&postgres, &broker).await?).await?;
    let _programs = road.open().await?;
    road.rename("ALTER TABLE messages RENAME TO elsewhere").await?;
    let asked = road.ask(0..10);
    road.all_answered().await?;
    road.becomes_given_back(10).await?;
    road.rename("ALTER TABLE elsewhere RENAME TO messages").await?;
    road.each_answered_once(&asked).await?;
    road.is_consumed().await?;
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_queue_deleted_while_it_is_consumed_is_declared_anew() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, worker] = road.open().await?;
    let mut asked = road.ask(0..10);
    road.each_answered_once(&asked).await?;
    for round in 1..=3 {
        road.is_consumed().await?;
        road.delete_queue().await?;
        road.is_consumed().await?;
        let next = asked.len();
        asked.extend(road.ask(next..next + 10));
        road.each_answered_once(&asked).await?;
        ensure!(worker.log().matches("\"consuming\"").count() == round + 1, "{}", worker.log());
    }
    Ok(())
}

/// What is in hand is stored, though its queue is gone and nothing is left to acknowledge.
#[tokio::test]
async fn a_queue_deleted_over_a_window_in_hand_loses_nothing_of_it() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let barrier = road.barrier().await?;
    let mut asked = vec![road.asks(0)];
    road.all_answered().await?;
    road.held_up(1).await?;
    road.delete_queue().await?;
    // The broker's word that nothing more comes arrives while the window is being stored.
    tokio::time::sleep(A_WHILE).await;
    barrier.lift().await?;
    road.is_consumed().await?;
    asked.extend(road.ask(1..5));
    road.each_answered_once(&asked).await
}
