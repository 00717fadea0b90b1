//! The `ingest` binary. It starts in a straight line and stops in reverse (see `ingest::serve`).

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use contract::{
    broker::{BrokerError, EXIT_TOPOLOGY},
    health,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use ingest::{serve, settings};

/// The door of Buzón: takes Kapso's webhooks and makes them durable, in RabbitMQ or else on its own disk, before it
/// answers 200.
///
/// It is configured by environment variables (or a file `.env` beside it); see `.env.example`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Receive webhooks until SIGTERM (the default)
    Run,
    /// Ask the ingest on this machine whether it is ready: exit code 0 or 1
    Healthcheck,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command.unwrap_or(Command::Run) {
        Command::Run => configured().map(serve::run),
        Command::Healthcheck => Settings::load()
            .and_then(|settings| settings::address(&settings))
            .map(|address| health::check(address).map_err(Into::into)),
    };
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) if matches!(error.downcast_ref(), Some(BrokerError::Topology(_))) => {
            complain(&error.to_string(), EXIT_TOPOLOGY)
        }
        Ok(Err(error)) => complain(&format!("{error:#}"), 1),
        Err(error) => complain(&error.to_string(), EXIT_USAGE),
    }
}

fn configured() -> Result<settings::IngestSettings, SettingsError> {
    let settings = Settings::load()?;
    telemetry::start_logging(&settings)?;
    settings::IngestSettings::read(&settings)
}

#[expect(clippy::print_stderr, reason = "one line for the person or the script that started it")]
fn complain(what: &str, code: u8) -> ExitCode {
    eprintln!("ingest: {what}");
    ExitCode::from(code)
}
