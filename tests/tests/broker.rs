//! The private broker's bad days, seen by a client that counts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use contract::broker::{Broker, BrokerError};
use contract::settings::Settings;
use harness::servers::RabbitMq;
use harness::wait;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::net::TcpListener;

const QUEUE: &str = "letters";

async fn connect(url: &str) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), durable, quorum).await?;
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

/// Looks for a message in the queue, and leaves it there.
async fn kept(url: &str) -> Result<()> {
    let (_connection, channel) = connect(url).await?;
    wait::until("the message", Duration::from_secs(10), async || {
        anyhow::Ok(channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await?.is_some())
    })
    .await
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
    kept(&url).await?;

    broker.stop_app().await?;
    ensure!(connect(&url).await.is_err(), "it answers after stop_app");
    broker.start_app().await?;
    kept(&url).await?;
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

/// How many threads of this process run a connection, and how many descriptors it has open.
fn held() -> Result<(usize, usize)> {
    let threads = std::fs::read_dir("/proc/self/task")?.flatten();
    let name =
        |task: &std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    let connections = threads.filter(|task| name(task).starts_with("lapin-io")).count();
    Ok((connections, std::fs::read_dir("/proc/self/fd")?.count()))
}

/// A peer that accepts and never speaks keeps nothing of an attempt that is given up, in clear or in the middle of TLS.
#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_neither_thread_nor_socket() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let address = silent.local_addr()?;
    let give_up = async |scheme: &str| {
        let url = format!("{scheme}://guest:guest@{address}/x");
        let settings = Settings::from_values([("AMQP_URL", url)])?;
        match Broker::from_settings(&settings, "buzon-test")?.connect().await {
            Err(BrokerError::Deadline) => Ok(()),
            other => anyhow::bail!("{other:?}"),
        }
    };
    // The end of the first one starts what every later one shares.
    give_up("amqp").await?;
    let ended = async || Ok::<_, anyhow::Error>(held()?.0 == 0);
    wait::until("its thread to end", Duration::from_secs(10), ended).await?;
    let before = held()?.1;
    let many = (0..20).map(|nth| give_up(if nth % 2 == 0 { "amqp" } else { "amqps" }));
    futures_util::future::try_join_all(many).await?;
    wait::until("threads and sockets to be gone", Duration::from_secs(10), async || {
        let (threads, sockets) = held()?;
        ensure!(
            threads == 0 && sockets <= before,
            "{threads} threads; {sockets} descriptors, {before} before"
        );
        Ok(true)
    })
    .await
}
