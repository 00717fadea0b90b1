//! The private broker's bad days, seen by a client that counts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::servers::RabbitMq;
use harness::wait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

const QUEUE: &str = "letters";

async fn connect(url: &str) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await?;
    Ok((connection, channel))
}

/// Publishes one persistent message and waits for its confirm.
async fn publish(channel: &Channel) -> Result<()> {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    channel
        .basic_publish("".into(), QUEUE.into(), BasicPublishOptions::default(), b"x", persistent)
        .await?
        .await?;
    Ok(())
}

async fn waiting(url: &str) -> Result<u32> {
    let (_connection, channel) = connect(url).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    Ok(channel.queue_declare(QUEUE.into(), passive, FieldTable::default()).await?.message_count())
}

#[tokio::test]
async fn a_confirmed_message_survives_kill_restart_and_stop_app() -> Result<()> {
    let mut broker = RabbitMq::of_this_test().await?;
    broker.create_vhost("here").await?;
    let url = broker.url("here");
    let (_connection, channel) = connect(&url).await?;
    publish(&channel).await?;

    broker.sync_definitions().await?;
    broker.kill();
    ensure!(connect(&url).await.is_err(), "it answers after kill -9");
    broker.restart().await?;
    ensure!(waiting(&url).await? == 1);

    broker.stop_app().await?;
    ensure!(connect(&url).await.is_err(), "it answers after stop_app");
    broker.start_app().await?;
    ensure!(waiting(&url).await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_blocked_broker_confirms_nothing_until_it_is_unblocked() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    broker.create_vhost("here").await?;
    let (_connection, channel) = connect(&broker.url("here")).await?;
    broker.block().await?;
    let confirm = publish(&channel);
    tokio::pin!(confirm);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut confirm).await;
    ensure!(early.is_err(), "a confirm came through a raised alarm");
    broker.unblock().await?;
    tokio::time::timeout(Duration::from_secs(10), confirm).await.context("no confirm after the alarm")??;
    Ok(())
}

#[tokio::test]
async fn close_connections_closes_those_of_one_vhost() -> Result<()> {
    let broker = RabbitMq::of_this_test().await?;
    broker.create_vhost("here").await?;
    broker.create_vhost("there").await?;
    let (here, _) = connect(&broker.url("here")).await?;
    let (there, channel) = connect(&broker.url("there")).await?;
    broker.close_connections("here").await?;
    wait::until("the connection to close", Duration::from_secs(10), async || !here.status().connected())
        .await?;
    publish(&channel).await?;
    ensure!(there.status().connected());
    Ok(())
}
