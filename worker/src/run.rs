//! `worker run`: started in a straight line, stopped in reverse.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;
use contract::{broker::BrokerError, health, health::Health, lifecycle, telemetry};
use futures_util::FutureExt;
use sqlx::{Connection as _, PgPool, postgres::PgPoolOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};

use crate::{
    alarms,
    archive::slow_lane,
    consume::{self, Consumer},
    effects::{dispatcher, settle, sweep},
    gaps::detector,
    kapso::Client,
    outage::{self, Outages},
    rules_file, schema,
    settings::RunSettings,
    statistics,
    store::Store,
};

/// How long a statement waits for a connection before that counts as an outage.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may take to answer when it is given back.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(5);

/// What every statement of a running worker is held to.
const STATEMENTS: [(&str, &str); 2] = [
    // A lock that somebody keeps (a long ALTER TABLE) is an outage, and is to be seen as one.
    ("lock_timeout", "30s"),
    // A transaction whose worker was killed ends, though it waits for a lock: what it was at
    // is free again. PostgreSQL 14.
    ("client_connection_check_interval", "2s"),
];

/// Runs the worker until it is asked to stop.
///
/// # Errors
/// When it can't start, or one of its tasks ends before it was asked to.
pub async fn run(settings: RunSettings) -> anyhow::Result<()> {
    let stop = lifecycle::stop_on_signals().context("signals can't be handled")?;
    let hang_up = signal(SignalKind::hangup()).context("signals can't be handled")?;
    let figures = telemetry::start_figures().context("figures can't be collected")?;
    let health = Health::of(&[outage::HEALTH, consume::HEALTH]);
    let listener = listen(settings.metrics_addr)?;
    let server = health::serve(listener, health.clone(), figures).context("health can't be served")?;
    let serving = tokio::spawn(server);

    let pool = connect_lazily(&settings);
    let client = client(&settings)?;
    if let Some(why) = settings.policy.off {
        tracing::warn!(why, "nothing is sent: what would have been is recorded");
    }
    let store = Store::new(pool.clone(), settings.policy).unmasked(settings.log_unmasked);
    let outages = Outages::new(health.clone());
    let mut start = outages.met_by("schema");
    tokio::select! {
        () = schema::ready(&pool, &mut start) => health.fine(outage::HEALTH),
        () = stop.cancelled() => return Ok(()),
    }

    let mut tasks = JoinSet::<Result<(), BrokerError>>::new();
    let broker = settings.broker.clone();
    let consumer = Consumer { broker: settings.broker, store: store.clone(), settings: settings.consume };
    tasks.spawn(consumer.run(outages.clone(), health, stop.clone()));
    tasks.spawn(statistics::keep(pool.clone(), stop.clone()).map(Ok));
    tasks.spawn(slow_lane::run(store.clone(), outages.clone(), stop.clone()).map(Ok));
    tasks.spawn(rules_file::reread(settings.rules, store.clone(), hang_up, stop.clone()).map(Ok));
    tasks.spawn(detector::run(settings.gaps, broker, store.clone(), stop.clone()).map(Ok));
    tasks.spawn(alarms::run(settings.alarms, pool.clone(), stop.clone()).map(Ok));
    let (settle, calls) = (settings.settle, settings.api.calls_a_minute);
    tasks.spawn(settle::run(store.clone(), client.clone(), settle, calls, stop.clone()).map(Ok));
    match client {
        Some(client) => {
            let calls = settings.api.calls_a_minute;
            tasks.spawn(dispatcher::run(store, client, calls, outages, stop.clone()).map(Ok))
        }
        None => tasks.spawn(sweep::run(pool, outages, stop.clone()).map(Ok)),
    };
    let failed = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        Some(ended) = tasks.join_next() => Some(match ended {
            Ok(Ok(())) => anyhow::anyhow!("a task ended before it was asked to"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        }),
    };
    // One that fails takes the others with it, but they finish what is under way.
    stop.cancel();
    let drained =
        timeout(settings.shutdown_deadline, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(deadline = ?settings.shutdown_deadline, "stopped before everything was drained; it comes again");
    }
    serving.abort();
    tracing::info!("stopped");
    failed.map_or(Ok(()), Err)
}

fn connect_lazily(settings: &RunSettings) -> PgPool {
    PgPoolOptions::new()
        .max_connections(settings.database_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // One round trip less; a connection that died shows itself soon enough.
        .test_before_acquire(false)
        // One that was given back half-way, and whose server never answers, must not keep its place: sqlx asks as well,
        // but after this, and without a limit.
        .after_release(|connection, _| {
            Box::pin(async move {
                timeout(GIVEN_BACK_WITHIN, connection.ping())
                    .await
                    .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
                    .map(|()| true)
            })
        })
        .connect_lazy_with(settings.database.clone().options(STATEMENTS))
}

/// The client, where effects are to be performed.
fn client(settings: &RunSettings) -> anyhow::Result<Option<Client>> {
    if settings.policy.off.is_some() {
        return Ok(None);
    }
    settings.api.client().map_err(|error| anyhow::anyhow!("KAPSO_API_TOKEN can't be used: {error}"))
}

/// Listens for health and figures. A second worker on the machine takes a free port.
fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0))
        }
        other => other,
    };
    let listener = listener
        .with_context(|| format!("BUZON_WORKER_METRICS_ADDR {address} can't be listened on: give another"))?;
    let address = listener.local_addr().context("the address is gone")?;
    tracing::info!(%address, "serving health and figures");
    Ok(listener)
}
