//! `buzon-dev with-servers -- COMMAND`: the servers of one test run.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use harness::process::leftovers;
use harness::servers::{Postgres, RabbitMq, packages, reachable_home};
use harness::{product::binaries, scratch, stage};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::progress::step;

/// The names of the runs' directories; the process id follows.
const RUN: &str = "test-";

pub(crate) async fn run(command: &[OsString]) -> Result<ExitCode> {
    let home = reachable_home(&scratch::checkout()?.join(".run"))?;
    scratch::remove_dead_runs(&home, RUN).await?;
    let dir = home.join(format!("{RUN}{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let done = run_in(&dir, command).await;
    // Whatever the command left running goes with its servers.
    leftovers::stop(&dir).await?;
    let code = done?;
    if code == 0 {
        std::fs::remove_dir_all(&dir)?;
    } else {
        println!("exit code {code}; logs and data are kept until the next run: {}", dir.display());
    }
    Ok(ExitCode::from(code))
}

async fn run_in(dir: &Path, command: &[OsString]) -> Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (postgres, rabbitmq) = tokio::select! {
        servers = start_servers(dir) => servers?,
        _ = interrupt.recv() => return Ok(130),
        _ = terminate.recv() => return Ok(143),
    };
    let start = std::time::Instant::now();
    let mut child = start_command(dir, command, &postgres, &rabbitmq)?;
    let code = tokio::select! {
        code = exit_code(&mut child) => code?,
        // A terminal sends Ctrl-C to the command as well: it stops by itself.
        _ = interrupt.recv() => { exit_code(&mut child).await?; 130 }
        _ = terminate.recv() => 143,
    };
    println!("  {:<44} {:>6.1} s", "the command", start.elapsed().as_secs_f64());
    Ok(code)
}

async fn start_servers(dir: &Path) -> Result<(Postgres, RabbitMq)> {
    step("packages", async { tokio::task::spawn_blocking(packages::install_missing).await? }).await?;
    let (postgres, rabbitmq) = (dir.join("postgres"), dir.join("rabbitmq"));
    tokio::try_join!(
        step("Postgres", Postgres::start(&postgres, dir)),
        step("RabbitMQ", RabbitMq::start(&rabbitmq, dir)),
    )
}

fn start_command(
    dir: &Path,
    command: &[OsString],
    postgres: &Postgres,
    rabbitmq: &RabbitMq,
) -> Result<Child> {
    let (program, args) = command.split_first().context("a command after --")?;
    let own = std::env::current_exe()?;
    Command::new(program)
        .args(args)
        .env(stage::DATABASE_URL, postgres.url("postgres"))
        .env(stage::AMQP_URL, rabbitmq.url("/"))
        .env(stage::RABBITMQ_DIR, rabbitmq.node().dir())
        .env(scratch::TEST_DIR, dir)
        .env(binaries::BIN_DIR, own.parent().context("a program lies in a directory")?)
        .env(leftovers::MARK, dir)
        // An error that a test returns says where it comes from; fifty frames of runtime around it don't help.
        .env("RUST_LIB_BACKTRACE", std::env::var("RUST_LIB_BACKTRACE").unwrap_or("0".to_owned()))
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("can't run {}", program.display()))
}

async fn exit_code(child: &mut Child) -> Result<u8> {
    // Ended by a signal: there is no code, and it is no success.
    Ok(child.wait().await?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
