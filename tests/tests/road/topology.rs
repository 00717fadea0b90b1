//! A topology that is not ours stops a start, with a message that says how to mend it; and the remedy works.

use anyhow::{Context, Result, ensure};
use harness::proxy::Proxy;
use harness::servers::Node;
use harness::wait;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::outages::ready;
use crate::scene::{A_WHILE, PATIENCE, Road, broker, holds};

/// `EX_CONFIG`: see `docs/TROUBLESHOOTING.md`.
const EXIT_TOPOLOGY: i32 = 78;

/// On a vhost of the test's own, before or behind the product's back.
async fn channel(road: &Road) -> Result<(Connection, Channel)> {
    let url = road.stage.setting("AMQP_URL");
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

async fn a_classic_queue(channel: &Channel, name: &str) -> Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), durable, FieldTable::default()).await?;
    Ok(())
}

/// Does what the message says: the first command in it.
async fn mend(node: &Node, message: &str) -> Result<()> {
    let command = message.split('`').find_map(|text| text.strip_prefix("rabbitmqctl "));
    let command = command.context("a command")?;
    match command.strip_prefix("eval ") {
        Some(quoted) => node.ctl(&["eval", quoted.trim_matches('\'')]).await,
        None => node.ctl(&command.split(' ').collect::<Vec<_>>()).await,
    }
    .map(drop)
}

async fn stops_the_start(road: &Road, named: &[&str]) -> Result<()> {
    let worker = road.stage.finish("worker", &["run"]).await?;
    ensure!(worker.code == Some(EXIT_TOPOLOGY), "{worker:?}");
    let message =
        worker.log.lines().find_map(|line| line.strip_prefix("worker: ")).context(worker.log.clone())?;
    for named in named {
        ensure!(message.contains(named), "{named:?} is not in {message}");
    }
    mend(&broker()?, message).await?;
    let _worker = road.stage.worker().await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_not_ours_stops_the_start() -> Result<()> {
    let road = Road::new().await?;
    let (_connection, channel) = channel(&road).await?;
    a_classic_queue(&channel, "buzon.events").await?;
    stops_the_start(&road, &["the queue `buzon.events`", "inequivalent arg 'x-", "deletes what waits in it"])
        .await
}

#[tokio::test]
async fn an_exchange_that_is_not_ours_stops_the_start() -> Result<()> {
    let road = Road::new().await?;
    let (_connection, channel) = channel(&road).await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare("buzon.events".into(), ExchangeKind::Direct, durable, FieldTable::default())
        .await?;
    stops_the_start(&road, &["the exchange `buzon.events`", "'direct'", "the bindings of other"]).await
}

/// Declared anew by somebody while the worker runs, it is waited out: who runs may hold something.
#[tokio::test]
async fn found_later_it_is_told_and_waited_out() -> Result<()> {
    let mut road = Road::new().await?;
    let url = road.stage.setting("AMQP_URL").to_owned();
    let address = broker()?.addr();
    let proxy = Proxy::to(address).await?;
    road.stage.set("AMQP_URL", url.replace(&address.to_string(), &proxy.addr().to_string()));
    let worker = road.stage.worker().await?;
    road.stage.set("AMQP_URL", url);
    proxy.refuse().await;
    proxy.cut().await;
    let (_connection, channel) = channel(&road).await?;
    channel.queue_delete("buzon.unrouted".into(), QueueDeleteOptions::default()).await?;
    a_classic_queue(&channel, "buzon.unrouted").await?;
    channel.exchange_delete("buzon.events".into(), ExchangeDeleteOptions::default()).await?;
    proxy.accept().await?;
    let told = || worker.log().matches("the queue `buzon.unrouted` in RabbitMQ differs").count();
    wait::until("it to tell", PATIENCE, async || told() == 1).await?;
    holds("not ready, told once", A_WHILE * 3, async || Ok(ready(&worker).await? == 503 && told() == 1))
        .await?;
    mend(&broker()?, &worker.log().lines().filter(|line| line.contains("differs")).collect::<String>())
        .await?;
    wait::until("it to be ready", PATIENCE, async || -> Result<bool> { Ok(ready(&worker).await? == 200) })
        .await?;
    let _ingest = road.stage.ingest().await?;
    let asked = road.ask(0..3);
    road.each_answered_once(&asked).await
}
