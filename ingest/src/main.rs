//! The `ingest` binary. It starts in a straight line and stops in reverse (see `ingest::serve`).

use std::{io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use contract::{
    broker::{BrokerError, EXIT_TOPOLOGY},
    health,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use ingest::{serve, settings, sign};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Buzón's door: receives Kapso's webhooks, and stores each durably, in RabbitMQ or else on its own disk, before it
/// answers 200.
///
/// Settings are environment variables; those that are not set are read from `.env` in the working directory.
/// `.env.example` lists them all. If something is wrong, `worker doctor` says what.
#[derive(Parser)]
#[command(name = "ingest", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Receive webhooks until SIGTERM (the default)
    Run,
    /// Print the signature header for the body on standard input
    ///
    /// It signs every byte with KAPSO_WEBHOOK_SECRET: have curl send exactly the same file.
    #[command(after_help = SIGN_EXAMPLE)]
    Sign(sign::Arguments),
    /// Check whether the ingest on this machine is ready: exit code 0 or 1
    Healthcheck,
    /// Print shell completions
    #[command(
        after_help = "Example:\n  ingest completions bash > ~/.local/share/bash-completion/completions/ingest"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or stopped as asked; 1 failed, or not ready; 2 wrong command line; 64 wrong setting; 78 a queue
or an exchange in RabbitMQ differs from what Buzón needs; 143 ended at once by a second signal.";

const SIGN_EXAMPLE: &str = "Example:
  curl http://127.0.0.1:8000/api/whatsapp/webhook -H \"$(ingest sign < body.json)\" \\
    -H 'Content-Type: application/json' --data-binary @body.json";

fn main() -> ExitCode {
    let done = match Arguments::parse().command.unwrap_or(Command::Run) {
        Command::Run => configured().map(|(settings, log)| serve::run(settings, log)),
        Command::Sign(arguments) => {
            Settings::load().and_then(|settings| sign::Sign::read(arguments, &settings)).map(sign::Sign::run)
        }
        Command::Healthcheck => Settings::load()
            .and_then(|settings| settings::address(&settings))
            .map(|address| health::check(address).map_err(Into::into)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "ingest", &mut io::stdout());
            Ok(Ok(()))
        }
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

fn configured() -> Result<(settings::IngestSettings, telemetry::LogThread), SettingsError> {
    let settings = Settings::load()?;
    let log = telemetry::start_logging_aside(&settings)?;
    Ok((settings::IngestSettings::read(&settings)?, log))
}

#[expect(clippy::print_stderr, reason = "one line for the person or the script that started it")]
fn complain(what: &str, code: u8) -> ExitCode {
    eprintln!("ingest: {what}");
    ExitCode::from(code)
}
