//! The developer's hand: private servers for a command, and the whole product on one machine.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person")]

mod progress;
mod run;
mod with_servers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "buzon-dev", about = "Runs and tests Buzón on one machine, with servers of its own")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole product on this machine until Ctrl-C
    Run,
    /// Runs a command (the tests) with a private Postgres and RabbitMQ, and stops them afterwards
    WithServers {
        /// The command and its arguments, after `--`
        #[arg(required = true, last = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run => run::run().await,
        Command::WithServers { command } => with_servers::run(&command).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("buzon-dev: {error:#}");
        ExitCode::FAILURE
    })
}
