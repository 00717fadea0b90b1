//! The binary `worker`.

use std::{fmt::Display, io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use contract::{
    broker::{BrokerError, EXIT_TOPOLOGY},
    health,
    settings::{EXIT_USAGE, Settings, SettingsError},
    telemetry,
};
use mimalloc::MiMalloc;
use worker::{run, settings, tools};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The memory and the hands of Buzón: stores what Kapso's webhooks say in Postgres, and calls Kapso back.
///
/// It is configured by environment variables (or a file `.env` beside it); see `.env.example`. Something is wrong?
/// `worker doctor` says what.
#[derive(Parser)]
#[command(name = "worker", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Subcommand)]
enum Command {
    /// Consume webhooks and perform effects (the default)
    Run,
    /// Bring the database to this worker's schema, and exit
    ///
    /// Migrations only add: workers of the version before go on beside it. Running it again, or on a newer schema,
    /// changes nothing.
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
    /// See, register, test and resume our webhook at Kapso
    #[command(subcommand)]
    Webhook(tools::webhook::Command),
    /// Look for what is wrong, from the settings to a test event in Postgres, and say how to mend it
    #[command(after_help = DOCTOR_HELP)]
    Doctor(tools::doctor::Arguments),
    /// Send a signed test event to ingest, as Kapso would
    ///
    /// It is taken for a real one: it is stored, and a message received owes its mark-as-read, and
    /// a reply where a keyword asks for one.
    #[command(after_help = SEND_TEST_HELP)]
    SendTest(tools::send_test::Arguments),
    /// Ask the worker on this machine whether it is ready: exit code 0 or 1
    Healthcheck,
    /// Print the completions of this program for a shell
    #[command(
        after_help = "Example:\n  worker completions bash > ~/.local/share/bash-completion/completions/worker"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or stopped as asked; 1 it failed, or is not ready; 2 the command line is wrong; 64 a setting is;
78 a queue or an exchange in RabbitMQ is not ours; 130 interrupted, and it says how to go on; 143 a second signal
ended it at once.";

const DOCTOR_HELP: &str = "\
It changes nothing. Its test event is archived, of the kind `test.doctor`, and is projected into nothing.

Exit codes: 0 all is well (there may be remarks, `!`), 1 something is wrong (`✗`), 64 `.env` can't be read.

Examples:
  worker doctor
  worker doctor --url https://buzon.example.com
  worker doctor --only broker,database --json";

const SEND_TEST_HELP: &str = "\
Exit codes: 0 ingest took it, 1 it did not, 64 a setting is missing.

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
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
