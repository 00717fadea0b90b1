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

#[derive(Clone, Subcommand)]
enum Command {
    /// Consume webhooks and perform effects (the default)
    Run,
    /// Bring the database to this worker's schema, and exit
    Migrate,
    /// See and settle what could not be projected
    #[command(subcommand)]
    DeadLetters(tools::dead_letters::Command),
    /// See what is owed and what became of it; try it again or discard it
    #[command(subcommand)]
    Effects(tools::effects::Command),
    /// Pause and resume automatic replies to a person
    #[command(subcommand)]
    Conversations(tools::conversations::Command),
    /// Project archived webhooks again; nothing is sent unless asked for
    Replay(tools::replay::Arguments),
    /// Ask Kapso for messages that never reached us, and store them; nobody is answered
    Backfill(tools::backfill::Arguments),
    /// Ask the worker on this machine whether it is ready; exit 0 if so
    Healthcheck,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Run);
    let is_service = matches!(command, Command::Run);
    match start(command) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if matches!(error.downcast_ref(), Some(BrokerError::Topology(_))) => {
            complain(&error, EXIT_TOPOLOGY)
        }
        // Two arguments that contradict each other: told as clap tells of one.
        Ok(Err(error)) if error.is::<clap::Error>() => {
            error.downcast::<clap::Error>().map_or(ExitCode::FAILURE, |usage| usage.exit())
        }
        Ok(Err(error)) if is_service => {
            tracing::error!(error = format!("{error:#}"), "failed");
            ExitCode::FAILURE
        }
        Ok(Err(error)) => complain(&format!("{error:#}"), 1),
        Err(error) => complain(&error, EXIT_USAGE),
    }
}

#[expect(clippy::print_stderr, reason = "one line for the person or the script that started it")]
fn complain(what: &dyn Display, code: u8) -> ExitCode {
    eprintln!("worker: {what}");
    ExitCode::from(code)
}

/// Reads the settings and runs; the outer error is one of configuration.
fn start(command: Command) -> Result<anyhow::Result<ExitCode>, SettingsError> {
    let settings = Settings::load()?;
    telemetry::start_logging(&settings)?;
    Ok(match command {
        Command::Run => {
            let settings = settings::RunSettings::read(&settings)?;
            block_on(run::run(settings)).map(|()| ExitCode::SUCCESS)
        }
        Command::Migrate => {
            let database = settings::database(&settings)?;
            block_on(async { tools::migrate::run(&database).await }).map(|()| ExitCode::SUCCESS)
        }
        Command::DeadLetters(command) => {
            let database = settings::database(&settings)?;
            block_on(async { tools::dead_letters::run(command, &database).await })
        }
        Command::Effects(command) => {
            let (database, pause) = (settings::database(&settings)?, settings::takeover_pause(&settings)?);
            block_on(async { tools::effects::run(command, &database, pause).await })
        }
        Command::Conversations(command) => {
            let (database, pause) = (settings::database(&settings)?, settings::takeover_pause(&settings)?);
            block_on(async { tools::conversations::run(command, &database, pause).await })
        }
        Command::Replay(arguments) => {
            let (database, policy) = (settings::database(&settings)?, settings::policy(&settings)?);
            block_on(async { tools::replay::run(arguments, &database, policy).await })
        }
        Command::Backfill(arguments) => {
            let backfill = tools::backfill::Backfill::read(arguments, &settings)?;
            block_on(backfill.run())
        }
        Command::Healthcheck => {
            let checked = health::check(settings::metrics_addr(&settings)?);
            checked.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
