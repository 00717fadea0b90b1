//! Starting and stopping: signals, figures, health, publisher, door; and back in reverse.

use std::{
    net::{SocketAddr, TcpListener},
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::Server, web};
use anyhow::Context;
use contract::{health, health::Health, lifecycle, telemetry, telemetry::LogThread};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::{Alarms, Signatures},
    door::{self, Door},
    figures::Figures,
    files, keep, publish,
    settings::IngestSettings,
    spool::{self, Spool},
};

/// How long an idle connection is kept. Longer than the 60 s after which proxies close theirs:
/// the side that sends the next request must be the one that closes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long what a client still sends is read and thrown away after a refusal that did not
/// wait for it, so that it gets to read the answer instead of a reset.
const LINGER: Duration = Duration::from_secs(3);

/// How often it is looked how many lines of the log have been left out.
const LOOK_AT_LOG_EVERY: Duration = Duration::from_secs(5);

/// What a stop leaves for drainer and publisher: their last confirms and the goodbye to the broker.
const PUBLISHER_SHARE: Duration = Duration::from_secs(3);

/// Receives webhooks until the first SIGTERM or SIGINT, then lets what is under way finish. `log` is kept to the end.
///
/// # Errors
/// When the spool can't be used, an address can't be listened on, a server fails, or the broker
/// has our queues with other arguments.
pub fn run(settings: IngestSettings, log: LogThread) -> anyhow::Result<()> {
    // One thread: requests have theirs (actix), and so has the broker's connection (lapin). What is between them, the
    // publisher, would only be handed to and fro.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    lifecycle::run(runtime, serve(settings, log))
}

async fn serve(settings: IngestSettings, log: LogThread) -> anyhow::Result<()> {
    let stop = lifecycle::stop_on_signals()?;
    let rendered = telemetry::start_figures()?;
    let figures = Figures::register();
    tokio::spawn(keep_log(log, figures.clone()));
    let health = Health::either(&[publish::HEALTH_PART, spool::HEALTH_PART]);
    let spool = Spool::open(&settings.spool, figures.clone())?;
    let metrics_listener = listen(settings.metrics_address, "BUZON_INGEST_METRICS_ADDR")?;
    let listener = listen(settings.address, "INGEST_ADDR")?;
    tracing::info!(address = %listener.local_addr()?, "ingest listens");

    let admin = health::serve(metrics_listener, health.clone(), rendered)?;
    let admin_handle = admin.handle();
    let admin = tokio::spawn(admin);
    let alarms = Alarms::new();
    if let Some(receiver) = settings.receiver {
        tokio::spawn(alarms.clone().tell(receiver, settings.repeat));
    }
    let signatures = Signatures::new(alarms.clone());
    tokio::spawn(signatures.clone().forget());
    spool.0.watch(settings.spool.alarm_age, health.clone(), alarms);
    let (publisher, owner) = publish::start(settings.broker, health.clone(), figures.clone(), stop.clone());
    let (keeper, draining) = keep::start(publisher, spool, figures.clone());
    let door = Door::new(settings.keys, settings.verify_token, settings.limits, keeper, figures, signatures);
    let requests = settings.shutdown_deadline.saturating_sub(PUBLISHER_SHARE);
    let door = server(listener, web::Data::new(door), health, stop.clone(), requests)?;

    door.await?;
    // Every request is answered: what is still in the publisher's hands is in the spool, too.
    let ending = async {
        draining.stop().await;
        owner.stop().await
    };
    let ended = timeout_at(Instant::now() + PUBLISHER_SHARE, ending).await.unwrap_or_else(|_| {
        tracing::warn!("the broker did not say goodbye in time");
        Ok(())
    });
    admin_handle.stop(false).await;
    admin.await??;
    tracing::info!("ingest stopped");
    Ok(ended?)
}

/// Keeps the log's thread until the runtime ends, and counts what it leaves out.
async fn keep_log(log: LogThread, figures: Figures) {
    loop {
        figures.log_left_out(log.left_out());
        sleep(LOOK_AT_LOG_EVERY).await;
    }
}

/// The server of the door, with liveness and readiness beside it.
///
/// # Errors
/// When it can't be set up on `listener`.
fn server(
    listener: TcpListener,
    door: web::Data<Door>,
    health: Health,
    stop: CancellationToken,
    shutdown_deadline: Duration,
) -> std::io::Result<Server> {
    let app = move || {
        App::new().app_data(door.clone()).configure(health::routes(health.clone())).configure(door::routes)
    };
    let threads = available_parallelism()?.get();
    let server = HttpServer::new(app)
        .workers(threads)
        .keep_alive(KEEP_ALIVE)
        .max_connections(files::connections(threads))
        .client_disconnect_timeout(LINGER)
        .shutdown_signal(stop.cancelled_owned())
        .shutdown_timeout(shutdown_deadline.as_secs().max(1))
        .listen(listener)?
        .run();
    Ok(server)
}

fn listen(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("can't listen on {address}: free it or set {variable}"))
}
