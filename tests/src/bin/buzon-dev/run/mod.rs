//! `buzon-dev run`, the body of `make run`: servers, simulator, ingest and worker on one machine.

mod configured;
mod hints;
mod place;
mod running;
mod signals;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::process::Launch;
use harness::product::{Product, READY_DEADLINE, Settings, binaries};
use harness::scratch;
use harness::servers::{Postgres, RabbitMq, packages};

use crate::progress::step;
use configured::{Configured, local};
use place::Place;
use running::{Running, Service};
use signals::Signals;

/// A first migration of a big database, on a slow disk.
const MIGRATE_DEADLINE: Duration = Duration::from_secs(300);

pub(crate) async fn run() -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    // The programs read `.env` from where they are started.
    std::env::set_current_dir(scratch::checkout()?)?;
    let place = Place::claim(&std::env::current_dir()?)?;
    let mut running = Running::default();
    let ended = tokio::select! {
        ended = live(&place, &mut running) => ended,
        () = signals.next() => Ok(()),
    };
    place.remove_env();
    if let Err(error) = &ended {
        eprintln!("\n{error:#}\n");
    }
    if !running.is_empty() {
        println!("\nStopping what was started here (once more: at once):");
    }
    tokio::select! {
        () = running.stop() => {}
        // Dropped, everything is killed.
        () = signals.next() => drop(running),
    }
    Ok(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts everything, says what to try, and comes back only when something has gone wrong.
async fn live(place: &Place, running: &mut Running) -> Result<()> {
    println!("Buzón on this machine (Ctrl-C stops it):");
    place.stop_leftovers().await?;
    let mut configured = Configured::read(place)?;
    start_servers(place, &mut configured, running).await?;
    step("migrate the database", migrate(place, &configured)).await?;
    if let Some(addr) = configured.simulator {
        let sim = start(place, "kapso-sim", &[], &configured.simulator_settings(addr), addr);
        running.add(step(&format!("simulated Kapso on {addr}"), ready(sim?, "/sim/livez")).await?);
    }
    let ingest = start(place, "ingest", &["run"], &configured.product, local(configured.door));
    running.add(step(&format!("ingest on {}", configured.door), ready(ingest?, "/readyz")).await?);
    let worker = start(place, "worker", &["run"], &configured.product, local(configured.worker_metrics));
    running.add(step("worker", ready(worker?, "/readyz")).await?);
    place.write_env(&configured.product)?;
    println!("{}", hints::text(&configured));
    Err(running.first_to_end().await)
}

/// Postgres and RabbitMQ, each unless it is configured.
async fn start_servers(place: &Place, configured: &mut Configured, running: &mut Running) -> Result<()> {
    let (own_postgres, own_rabbitmq) = (!configured.has_database, !configured.has_broker);
    if own_postgres || own_rabbitmq {
        step("Debian's packages of the servers", async {
            tokio::task::spawn_blocking(packages::install_missing).await?
        })
        .await?;
    }
    let (postgres, rabbitmq) = tokio::try_join!(
        when(own_postgres, step("private Postgres", Postgres::start(&place.postgres, &place.logs))),
        when(own_rabbitmq, step("private RabbitMQ", RabbitMq::start(&place.rabbitmq, &place.logs))),
    )?;
    if let Some(rabbitmq) = rabbitmq {
        configured.set("AMQP_URL", rabbitmq.url("/"));
        running.add(Service::RabbitMq(rabbitmq));
    }
    if let Some(postgres) = postgres {
        let made = postgres.create_database(configured::DATABASE).await;
        configured.set("DATABASE_URL", postgres.url(configured::DATABASE));
        running.add(Service::Postgres(postgres));
        made?;
    }
    Ok(())
}

async fn when<T>(wanted: bool, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if wanted { work.await.map(Some) } else { Ok(None) }
}

async fn migrate(place: &Place, configured: &Configured) -> Result<()> {
    let mut migrate = launch(place, "worker", &["migrate"], &configured.product)?
        .logging_to(place.logs.join("migrate.log"))
        .start()?;
    let status = migrate.end(MIGRATE_DEADLINE).await?;
    ensure!(status.success(), "worker migrate failed ({status}); {}", migrate.log_tail());
    Ok(())
}

async fn ready(mut program: Product, path: &str) -> Result<Service> {
    program.answers(path, READY_DEADLINE).await?;
    Ok(Service::Program(program))
}

fn start(place: &Place, name: &str, args: &[&str], settings: &Settings, http: SocketAddr) -> Result<Product> {
    Ok(Product::watch(launch(place, name, args, settings)?.start()?, http))
}

/// One of the product's programs, with the developer's environment and ours over it.
fn launch(place: &Place, name: &str, args: &[&str], settings: &Settings) -> Result<Launch> {
    let inherited = std::env::vars_os().filter(|(name, _)| name != harness::process::leftovers::MARK);
    Ok(Launch::new(name, binaries::path(name)?, &place.product)
        .args(args)
        .envs(inherited)
        .envs(settings)
        .working_in(&std::env::current_dir().context("the checkout is gone")?)
        .logging_to(place.logs.join(format!("{name}.log")))
        .apart_from_terminal())
}
