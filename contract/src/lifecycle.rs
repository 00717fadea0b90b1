//! How a process of ours stops: the first signal asks, the second insists.

use std::{io, process, time::Duration};

use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal: 128 + SIGTERM, as a shell would report it.
const EXIT_ABORTED: i32 = 143;

/// How long a thread is waited for that is blocked by a disk, or by a name server.
const BLOCKED: Duration = Duration::from_secs(1);

/// Runs a program to its end. A thread that is blocked then is left behind: a stop has a deadline.
pub fn run<T>(runtime: Runtime, program: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(program);
    runtime.shutdown_timeout(BLOCKED);
    ended
}

/// A token that is cancelled by the first SIGTERM (a container's or service manager's stop)
/// or SIGINT (Ctrl-C). The second one ends the process at once; what is not confirmed or
/// committed then comes again.
///
/// # Errors
/// When the handlers can't be installed.
pub fn stop_on_signals() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "stopping; a second signal aborts");
        asked.cancel();
        let name = next().await;
        tracing::warn!(signal = name, "aborted");
        process::exit(EXIT_ABORTED);
    });
    Ok(stop)
}
