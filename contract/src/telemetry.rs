//! What a process says: log lines on standard error, figures for Prometheus.

use std::{
    io::{self, BufWriter, IsTerminal},
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{Settings, SettingsError};

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info,sqlx=warn,hyper=warn,actix_server=warn";

/// lapin logs returned messages with their payload at `warn`, and the address it connects to: it is heard from `error`
/// on, unless `RUST_LOG` names it.
const LAPIN: &str = "lapin";

/// The buckets of every `_seconds` histogram, from a fast confirm to Kapso's own time-out.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Histograms keep their samples until somebody renders them or this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// How many lines wait for whoever reads the log, before any is left out.
const WAITING_LINES: usize = 8_192;

/// Starts logging: one JSON object a line, or text when a person looks on.
///
/// # Errors
/// When `RUST_LOG` is malformed.
pub fn start_logging(settings: &Settings) -> Result<(), SettingsError> {
    log_to(settings, io::stderr)
}

/// The same, by a thread of its own: whoever logs does not wait for who reads the log, be it a slow disk or a pipe that
/// nobody empties. Lines that wait are written when what this returns is dropped.
///
/// # Errors
/// When `RUST_LOG` is malformed.
pub fn start_logging_aside(settings: &Settings) -> Result<LogThread, SettingsError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        // What comes together is written together: the thread flushes when nothing waits.
        .finish(BufWriter::new(io::stderr()));
    let left_out = writer.error_counter();
    log_to(settings, writer)?;
    Ok(LogThread { left_out, _guard: guard })
}

/// The thread that writes the log.
pub struct LogThread {
    left_out: ErrorCounter,
    _guard: WorkerGuard,
}

impl LogThread {
    /// How many lines have been left out, since too many waited.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.dropped_lines() as u64
    }
}

fn log_to<W>(settings: &Settings, writer: W) -> Result<(), SettingsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter(settings.text("RUST_LOG"))).map_err(|error| {
        SettingsError::new(
            "RUST_LOG",
            format!("is malformed ({error})"),
            "give a filter such as info,ingest=debug",
        )
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(writer)).try_init()
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init()
    };
    // Fails only when logging has been started already, which serves as well.
    started.or(Ok(()))
}

/// The filter for a value of `RUST_LOG`.
fn filter(given: Option<String>) -> String {
    let filter = given.unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    if filter.contains(LAPIN) { filter } else { format!("{filter},{LAPIN}=error") }
}

/// Renders all figures as text in Prometheus' format.
pub type Rendered = PrometheusHandle;

/// Starts collecting figures. Must run inside a Tokio runtime.
///
/// # Errors
/// When a recorder is installed already.
pub fn start_figures() -> Result<Rendered, metrics_exporter_prometheus::BuildError> {
    let figures = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let upkeep = figures.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lapin_is_kept_quiet_unless_it_is_named() {
        assert!(filter(None).ends_with(",lapin=error"));
        assert_eq!(filter(Some("debug".to_owned())), "debug,lapin=error");
        assert_eq!(filter(Some("info,lapin=warn".to_owned())), "info,lapin=warn");
    }
}
