//! `worker run`: started in a straight line, stopped in reverse.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;
use contract::{health, health::Health, lifecycle, telemetry};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};

use crate::{
    archive::slow_lane,
    consume,
    effects::{Policy, dispatcher},
    kapso::Client,
    rules_file, schema,
    settings::RunSettings,
    store::Store,
};

/// How long a statement waits for a connection before that counts as an outage.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the worker until it is asked to stop.
///
/// # Errors
/// When it can't start, or one of its tasks ends before it was asked to.
pub async fn run(settings: RunSettings) -> anyhow::Result<()> {
    let stop = lifecycle::stop_on_signals().context("signals can't be handled")?;
    let hang_up = signal(SignalKind::hangup()).context("signals can't be handled")?;
    let figures = telemetry::start_figures().context("figures can't be collected")?;
    let health = Health::of(&[schema::HEALTH, consume::HEALTH]);
    let listener = listen(settings.metrics_addr)?;
    let server = health::serve(listener, health.clone(), figures).context("health can't be served")?;
    let serving = tokio::spawn(server);

    let pool = connect_lazily(&settings);
    let client = client(&settings)?;
    let store = Store::new(pool.clone(), policy(&settings, client.is_some())).unmasked(settings.log_unmasked);
    tokio::select! {
        () = schema::ready(&pool, &health) => {}
        () = stop.cancelled() => return Ok(()),
    }

    let mut tasks = JoinSet::new();
    tasks.spawn(consume::run(settings.broker, store.clone(), settings.consume, health, stop.clone()));
    tasks.spawn(rules_file::reread(settings.rules, store.clone(), hang_up, stop.clone()));
    tasks.spawn(slow_lane::run(store.clone(), stop.clone()));
    if let Some(client) = client {
        tasks.spawn(dispatcher::run(store, client, settings.api.calls_a_minute, stop.clone()));
    }
    tokio::select! {
        () = stop.cancelled() => {}
        ended = tasks.join_next() => {
            stop.cancel();
            anyhow::ensure!(matches!(ended, Some(Ok(()))), "a task ended: {ended:?}");
        }
    }
    let drained =
        timeout(settings.shutdown_deadline, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(deadline = ?settings.shutdown_deadline, "stopped before everything was drained; it comes again");
    }
    serving.abort();
    tracing::info!("stopped");
    Ok(())
}

fn connect_lazily(settings: &RunSettings) -> PgPool {
    PgPoolOptions::new()
        .max_connections(settings.database_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // One round trip less; a connection that died shows itself soon enough.
        .test_before_acquire(false)
        .connect_lazy_with(settings.database.clone())
}

/// The client, where effects are to be performed.
fn client(settings: &RunSettings) -> anyhow::Result<Option<Client>> {
    match &settings.api.token {
        Some(token) if settings.effects => {
            let client = Client::new(settings.api.base.clone(), token);
            Ok(Some(client.map_err(|error| anyhow::anyhow!("KAPSO_API_TOKEN can't be used: {error}"))?))
        }
        _ => Ok(None),
    }
}

fn policy(settings: &RunSettings, performed: bool) -> Policy {
    let off = match (performed, settings.effects) {
        (true, _) => None,
        (false, false) => Some("BUZON_EFFECTS is off"),
        (false, true) => Some("there is no KAPSO_API_TOKEN"),
    };
    if let Some(why) = off {
        tracing::warn!(why, "nothing is sent: what would have been is recorded");
    }
    Policy {
        off,
        book: settings.book.clone(),
        phone_number_id: settings.phone_number_id.clone(),
        api: settings.api.style,
    }
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
