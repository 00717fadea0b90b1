//! The binary `worker`.

use std::{fmt::Display, process::ExitCode};

use clap::{Parser, Subcommand};
use contract::{
    broker::{BrokerError, EXIT_TOPOLOGY},
    health,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use worker::{run, settings, tools};

/// Stores what Kapso's webhooks say in Postgres, and calls Kapso back.
#[derive(Parser)]
#[command(name = "worker", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Consume webhooks and perform effects (the default)
    Run,
    /// Bring the database to this worker's schema, and exit
    Migrate,
    /// Ask the worker on this machine whether it is ready; exit 0 if so
    Healthcheck,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Run);
    match start(command) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) if matches!(error.downcast_ref(), Some(BrokerError::Topology(_))) => {
            complain(&error, EXIT_TOPOLOGY)
        }
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "failed");
            ExitCode::FAILURE
        }
        Err(error) => complain(&error, EXIT_USAGE),
    }
}

#[expect(clippy::print_stderr, reason = "one line for the person or the script that started it")]
fn complain(what: &dyn Display, code: u8) -> ExitCode {
    eprintln!("worker: {what}");
    ExitCode::from(code)
}

/// Reads the settings and runs; the outer error is one of configuration.
fn start(command: Command) -> Result<anyhow::Result<()>, SettingsError> {
    let settings = Settings::load()?;
    telemetry::start_logging(&settings)?;
    Ok(match command {
        Command::Run => {
            let settings = settings::RunSettings::read(&settings)?;
            block_on(run::run(settings))
        }
        Command::Migrate => {
            let database = settings::database(&settings)?;
            block_on(async { tools::migrate::run(&database).await })
        }
        Command::Healthcheck => health::check(settings::metrics_addr(&settings)?).map_err(Into::into),
    })
}

fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
