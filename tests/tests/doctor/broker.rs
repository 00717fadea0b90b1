//! RabbitMQ away, with other queues than ours, and with nobody who consumes them.

use anyhow::Result;
use harness::wait;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};

use crate::scene::{PATIENCE, Scene};

#[tokio::test]
async fn a_broker_that_is_down_is_named() -> Result<()> {
    let mut scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.stage.set("AMQP_URL", "amqp://buzon:pass@127.0.0.1:1/%2f");
    let told = scene.doctor(&["--only", "broker,database"]).await?;
    told.names("broker", "reached", &["127.0.0.1:1", "is RabbitMQ up"])?.clears("database", "reached")?;
    Ok(())
}

#[tokio::test]
async fn a_queue_of_the_wrong_type_is_named_with_the_command_that_mends_it() -> Result<()> {
    let scene = Scene::new().await?;
    let connection =
        Connection::connect(scene.stage.setting("AMQP_URL"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("buzon.events".into(), durable, FieldTable::default()).await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare("buzon.events".into(), ExchangeKind::Direct, durable, FieldTable::default())
        .await?;
    let told = scene.doctor(&["--only", "broker"]).await?;
    told.names(
        "broker",
        "topology",
        &["the exchange `buzon.events` in RabbitMQ differs", "rabbitmqctl eval"],
    )?;
    let text = format!("{told:?}");
    anyhow::ensure!(text.contains("the queue `buzon.events` in RabbitMQ differs"), "{text}");
    anyhow::ensure!(text.contains("rabbitmqctl delete_queue -p"), "{text}");
    anyhow::ensure!(text.contains("there is no queue `buzon.dead-letters`"), "{text}");
    Ok(())
}

/// It is looked at, and not made: the doctor changes nothing.
#[tokio::test]
async fn a_queue_that_is_gone_stays_gone() -> Result<()> {
    let scene = Scene::new().await?;
    let mut worker = scene.stage.worker().await?;
    worker.kill();
    let connection =
        Connection::connect(scene.stage.setting("AMQP_URL"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_delete("buzon.unrouted".into(), QueueDeleteOptions::default()).await?;
    for _ in 0..2 {
        let told = scene.doctor(&["--only", "broker"]).await?;
        told.names("broker", "topology", &["there is no queue `buzon.unrouted`"])?;
    }
    Ok(())
}

/// AMQP has no question for a binding; what goes round by the alternate exchange tells of it. Nothing of the look
/// stays, and what is looked at gets to its end all the same.
#[tokio::test]
async fn a_queue_that_is_not_bound_is_told_by_the_way_of_the_test_event() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let bound = scene.doctor(&["--only", "road"]).await?;
    anyhow::ensure!(bound.findings().all(|it| it["about"] != "routing"), "{bound:?}");
    let connection =
        Connection::connect(scene.stage.setting("AMQP_URL"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (queue, none) = ("buzon.events", FieldTable::default());
    channel.queue_unbind(queue.into(), queue.into(), "#".into(), none).await?;
    for _ in 0..2 {
        let told = scene.doctor(&["--only", "broker,road"]).await?;
        told.has(
            "remark",
            "road",
            "routing",
            &["`buzon.events` is not bound", "`buzon.unrouted`", "restart a worker"],
        )?
        .clears("road", "postgres")?
        .clears("broker", "topology")?;
    }
    let mut worker = scene.stage.worker().await?;
    let told = scene.doctor(&["--only", "road"]).await?;
    anyhow::ensure!(told.findings().all(|it| it["about"] != "routing"), "{told:?}");
    worker.kill();
    Ok(())
}

#[tokio::test]
async fn a_worker_that_does_not_run_is_missed_by_queue_and_by_event() -> Result<()> {
    let scene = Scene::new().await?;
    let [_ingest, mut worker] = scene.open().await?;
    worker.kill();
    // The broker learns of it when the connection is seen to be closed.
    wait::until("nobody to consume", PATIENCE, async || -> Result<bool> {
        Ok(scene.doctor(&["--only", "broker"]).await?.code == Some(1))
    })
    .await?;
    let told = scene.doctor(&[]).await?;
    told.names("broker", "consumers", &["nobody consumes `buzon.events`", "start a worker"])?
        .names("road", "postgres", &["not in Postgres", "is one running"])?
        .clears("road", "answer")?
        .clears("ingest", "ready")?;
    Ok(())
}
