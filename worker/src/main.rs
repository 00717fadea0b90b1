//! The binary `worker`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use contract::{
    health,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use worker::{run, settings, tools};

/// The exit code of what Ctrl-C ended: 128 + SIGINT, as a shell would report it.
const EXIT_INTERRUPTED: u8 = 130;

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
    /// Ask Kapso for messages that never reached us, and store them; nobody is answered
    Backfill(tools::backfill::Arguments),
    /// Ask the worker on this machine whether it is ready; exit 0 if so
    Healthcheck,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Run);
    match start(command) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) if error.is::<clap::Error>() => {
            // It is the only error of this type: clap ends the process by itself otherwise.
            error.downcast::<clap::Error>().map_or(ExitCode::FAILURE, |usage| usage.exit())
        }
        Ok(Err(error)) if error.is::<tools::backfill::Interrupted>() => {
            tracing::warn!("{error}");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "logging may be what is not configured")]
            {
                eprintln!("{error}");
            }
            ExitCode::from(EXIT_USAGE)
        }
    }
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
        Command::Backfill(arguments) => {
            let backfill = tools::backfill::Backfill::read(arguments, &settings)?;
            block_on(backfill.run())
        }
        Command::Healthcheck => health::check(settings::metrics_addr(&settings)?).map_err(Into::into),
    })
}

fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
