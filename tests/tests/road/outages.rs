//! The database or the broker is away in the middle of a stream: ingest goes on, the worker waits and goes on by
//! itself, nothing is lost and nothing happens twice.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::product::Product;
use harness::proxy::Proxy;
use harness::servers::{Postgres, RabbitMq};
use harness::stage::Stage;
use harness::wait;
use kapso_sim::{Fault, Outcome, SimConfig};
use sqlx::postgres::PgPoolOptions;

use crate::scene::{PATIENCE, Road, figure, kapso};

impl Road {
    /// On a Postgres of the test's own.
    pub(crate) async fn on(postgres: &Postgres) -> Result<Self> {
        let mut road = Self::new().await?;
        let url = postgres.url("postgres");
        road.pool = PgPoolOptions::new().max_connections(4).connect_lazy(&url)?;
        road.stage.set("DATABASE_URL", url);
        road.stage.migrate().await?;
        Ok(road)
    }

    /// With a proxy between worker and Postgres.
    pub(crate) async fn with_database_behind_a_proxy() -> Result<(Self, Proxy)> {
        let mut road = Self::new().await?;
        let url = road.stage.setting("DATABASE_URL").to_owned();
        let address = url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).context("an address")?.0;
        let proxy = Proxy::to(address.parse::<SocketAddr>()?).await?;
        road.stage.set("DATABASE_URL", url.replace(address, &proxy.addr().to_string()));
        Ok((road, proxy))
    }
}

/// Waits until the worker says so of the database.
pub(crate) async fn away(worker: &Product, expected: f64) -> Result<()> {
    wait::until(&format!("buzon_database_away to be {expected}"), PATIENCE, async || -> Result<bool> {
        let away = figure(worker, "buzon_database_away").await?;
        ensure!((away - expected).abs() < f64::EPSILON, "{away}: {}", worker.log());
        Ok(true)
    })
    .await
}

/// The status of the worker's answer on `/readyz`.
pub(crate) async fn ready(worker: &Product) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(format!("http://{}/readyz", worker.http())).send().await?.status().as_u16())
}

#[tokio::test]
async fn postgres_is_stopped_and_killed_in_the_middle_of_a_stream() -> Result<()> {
    let mut postgres = Postgres::of_this_test().await?;
    let road = Road::on(&postgres).await?;
    let [_ingest, worker] = road.open().await?;
    let mut asked = road.ask(0..10);
    road.each_answered_once(&asked).await?;

    asked.extend(road.ask(10..20));
    postgres.stop().await?;
    asked.extend(road.ask(20..30));
    // Every one of them is answered 200 while the database is away.
    road.all_answered().await?;
    away(&worker, 1.0).await?;
    assert_eq!(ready(&worker).await?, 503);
    postgres.restart().await?;
    away(&worker, 0.0).await?;
    assert_eq!(ready(&worker).await?, 200);
    road.nothing_lost().await?;

    asked.extend(road.ask(30..40));
    postgres.kill();
    asked.extend(road.ask(40..50));
    road.all_answered().await?;
    postgres.restart().await?;
    road.each_answered_once_or_unknown(&asked).await
}

/// A reply is on its way when the database goes: its outcome is recorded when the database is back.
#[tokio::test]
async fn an_outcome_outlives_an_outage() -> Result<()> {
    let mut postgres = Postgres::of_this_test().await?;
    let road = Road::on(&postgres).await?;
    let [_ingest, worker] = road.open().await?;
    road.sim.fault(Fault::next_send(Outcome::Delay(Duration::from_secs(2))));
    let asked = [road.asks(0)];
    wait::until("the send", PATIENCE, async || road.sim.accepted_sends().len() == 1).await?;
    postgres.stop().await?;
    // Judged is not recorded: Postgres is away.
    wait::until("an outcome", PATIENCE, async || -> Result<bool> {
        let done = r#"buzon_effects_attempted_total{kind="send_text",outcome="done"}"#;
        Ok(figure(&worker, done).await? > 0.0)
    })
    .await?;
    postgres.restart().await?;
    road.each_answered_once(&asked).await
}

/// A commit may have happened, or not, when its connection is cut.
#[tokio::test]
async fn database_connections_are_cut_in_the_middle_of_a_stream() -> Result<()> {
    let (mut road, proxy) = Road::with_database_behind_a_proxy().await?;
    road.stage.set("BUZON_WINDOW", "5");
    let _programs = road.open().await?;
    let mut asked = Vec::new();
    for round in 1..=5 {
        let next = asked.len();
        asked.extend(road.ask(next..next + 20));
        let stored = i64::try_from(next + 5)?;
        wait::until(&format!("round {round} to be stored in part"), PATIENCE, async || -> Result<bool> {
            Ok(road.count("SELECT count(*) FROM webhooks").await? >= stored)
        })
        .await?;
        proxy.cut().await;
    }
    road.each_answered_once_or_unknown(&asked).await
}

#[tokio::test]
async fn a_database_that_refuses_connections_is_waited_for() -> Result<()> {
    let (road, proxy) = Road::with_database_behind_a_proxy().await?;
    let [_ingest, mut worker] = road.open().await?;
    proxy.refuse().await;
    proxy.cut().await;
    let asked = road.ask(0..10);
    road.all_answered().await?;
    away(&worker, 1.0).await?;
    // Held, not bounced: nothing goes back to the queue.
    assert_eq!(road.queue().await?, (0, 1));
    worker.answers("/livez", PATIENCE).await?;
    proxy.accept().await?;
    road.each_answered_once(&asked).await?;
    away(&worker, 0.0).await?;
    assert_eq!(road.count("SELECT count(*) FROM webhooks WHERE attempts > 0").await?, 0);
    Ok(())
}

#[tokio::test]
async fn broker_connections_are_closed_in_the_middle_of_a_stream() -> Result<()> {
    // Slower to retry: what comes while ingest reconnects is refused, and must find it back before Kapso gives up.
    let mut road = Road::beside(SimConfig { time_scale: 0.3, ..kapso() }).await?;
    road.stage.set("BUZON_WINDOW", "5");
    let _programs = road.open().await?;
    let mut asked = Vec::new();
    for round in 1..=3 {
        let next = asked.len();
        asked.extend(road.ask(next..next + 20));
        let stored = i64::try_from(next + 5)?;
        wait::until(&format!("round {round} to be stored in part"), PATIENCE, async || -> Result<bool> {
            Ok(road.count("SELECT count(*) FROM webhooks").await? >= stored)
        })
        .await?;
        road.close_broker_connections().await?;
    }
    road.each_answered_once(&asked).await
}

#[tokio::test]
async fn the_broker_is_stopped_and_killed_in_the_middle_of_a_stream() -> Result<()> {
    let (postgres, mut broker) = (Postgres::of_this_test().await?, RabbitMq::of_this_test().await?);
    let slower = SimConfig { time_scale: 0.5, ..kapso() };
    let mut road = Road::with(slower, Stage::on(&postgres, &broker).await?).await?;
    road.stage.set("BUZON_WINDOW", "5");
    let [_ingest, worker] = road.open().await?;
    let mut asked = Vec::new();
    for kills in [false, true, true] {
        let next = asked.len();
        asked.extend(road.ask(next..next + 40));
        wait::until("some of them to be stored", PATIENCE, async || -> Result<bool> {
            Ok(road.count("SELECT count(*) FROM webhooks").await? >= i64::try_from(next + 5)?)
        })
        .await?;
        if kills {
            broker.sync_definitions().await?;
            broker.kill();
        } else {
            broker.stop().await?;
        }
        asked.extend(road.ask(next + 40..next + 50));
        wait::until("it to be missed", PATIENCE, async || -> Result<bool> {
            Ok(ready(&worker).await? == 503)
        })
        .await?;
        broker.restart().await?;
        wait::until("it to be back", PATIENCE, async || -> Result<bool> { Ok(ready(&worker).await? == 200) })
            .await?;
    }
    road.each_answered_once(&asked).await?;
    assert_eq!(road.count("SELECT count(*) FROM webhooks").await?, i64::try_from(asked.len())?);
    Ok(())
}
