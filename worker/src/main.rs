//! The binary `worker`.

use std::{fmt::Display, io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use contract::{
    broker::{BrokerError, EXIT_TOPOLOGY},
    health, lifecycle,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use mimalloc::MiMalloc;
use worker::{run, settings, tools};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Buzón's worker: stores in Postgres what Kapso's webhooks say, and calls Kapso's API to reply and to mark as read.
///
/// Settings are environment variables; those that are not set are read from `.env` in the working directory.
/// `.env.example` lists them all. If something is wrong, `worker doctor` says what.
#[derive(Parser)]
#[command(name = "worker", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Subcommand)]
enum Command {
    /// Store webhooks and perform their effects (replies, marks as read) until SIGTERM (the default)
    Run,
    /// Bring the database up to this worker's schema, and exit
    ///
    /// Migrations take nothing away that is still used: workers of the previous version keep working beside it. Running
    /// it again, or on a newer schema, changes nothing.
    Migrate,
    /// List, show, requeue or drop what could not be projected
    #[command(subcommand)]
    DeadLetters(tools::dead_letters::Command),
    /// List, show, retry or discard effects: replies and marks as read
    #[command(subcommand)]
    Effects(tools::effects::Command),
    /// Pause and resume automatic replies to a person
    #[command(subcommand)]
    Conversations(tools::conversations::Command),
    /// Project archived webhooks again; nothing is sent unless --effects is given
    Replay(tools::replay::Arguments),
    /// Ask Kapso for messages that never reached us, and store them; they are not answered
    Backfill(tools::backfill::Arguments),
    /// Show, register, test or resume our webhook at Kapso
    #[command(subcommand)]
    Webhook(tools::webhook::Command),
    /// Check everything, from the settings to a test event in Postgres, and say how to fix what is wrong
    #[command(after_help = DOCTOR_HELP)]
    Doctor(tools::doctor::Arguments),
    /// Send a signed test event to ingest, as Kapso would
    ///
    /// It is treated as a real one: it is stored, and a received message is marked as read, and answered if it
    /// contains a keyword.
    #[command(after_help = SEND_TEST_HELP)]
    SendTest(tools::send_test::Arguments),
    /// Check whether the worker on this machine is ready: exit code 0 or 1
    Healthcheck,
    /// Print shell completions
    #[command(
        after_help = "Example:\n  worker completions bash > ~/.local/share/bash-completion/completions/worker"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or stopped as asked; 1 failed, or not ready; 2 wrong command line; 64 wrong setting; 78 a queue
or an exchange in RabbitMQ differs from what Buzón needs; 130 interrupted, and it says how to continue; 143 ended at
once by a second signal.";

const DOCTOR_HELP: &str = "\
It changes nothing. Its test event is archived, with the kind `test.doctor`, and becomes no message.

Exit codes: 0 all is well (there may be remarks, `!`), 1 something is wrong (`✗`), 2 the command line is wrong,
64 `.env` can't be read or RUST_LOG is malformed (any other wrong setting is a finding).

Examples:
  worker doctor
  worker doctor --url https://buzon.example.com
  worker doctor --only broker,database --json";

const SEND_TEST_HELP: &str = "\
Exit codes: 0 ingest took it, 1 it did not, 2 the command line is wrong, 64 a setting is missing or malformed.

Examples:
  worker send-test
  worker send-test --text 'Necesito ayuda' --from +56912345678
  worker send-test message.delivered --dialect v2 --message wamid.HBgL…
  worker send-test --dialect meta --dry-run";

fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Run);
    if let Command::Completions { shell } = command {
        clap_complete::generate(shell, &mut Arguments::command(), "worker", &mut io::stdout());
        return ExitCode::SUCCESS;
    }
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
        Command::Webhook(command) => {
            let webhook = tools::webhook::Webhook::read(command, &settings)?;
            block_on(webhook.run())
        }
        Command::Doctor(arguments) => block_on(tools::doctor::run(arguments, settings)),
        Command::SendTest(arguments) => match tools::send_test::SendTest::read(arguments, &settings)? {
            Ok(test) => block_on(test.run()),
            Err(usage) => Err(usage.into()),
        },
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
        Command::Healthcheck => {
            let checked = health::check(settings::metrics_addr(&settings)?);
            checked.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    lifecycle::run(tokio::runtime::Builder::new_multi_thread().enable_all().build()?, future)
}
