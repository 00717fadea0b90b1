//! What a process says: log lines on standard error, figures for Prometheus.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{Settings, SettingsError};

/// What is logged unless `RUST_LOG` says otherwise. lapin logs returned messages with
/// their payload at `warn`, and the address it connects to: it is heard from `error` on.
const DEFAULT_FILTER: &str = "info,lapin=error,sqlx=warn,hyper=warn,actix_server=warn";

/// The buckets of every `_seconds` histogram, from a fast confirm to Kapso's own time-out.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Histograms keep their samples until somebody renders them or this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Starts logging: one JSON object a line, or text when a person looks on.
///
/// # Errors
/// When `RUST_LOG` is malformed.
pub fn start_logging(settings: &Settings) -> Result<(), SettingsError> {
    let filter = settings.text("RUST_LOG").unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        SettingsError::new(
            "RUST_LOG",
            format!("is malformed ({error})"),
            "give a filter such as info,ingest=debug",
        )
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).try_init()
    };
    // Fails only when logging has been started already, which serves as well.
    started.or(Ok(()))
}

/// A figure renders as text in Prometheus' format.
pub type Figures = PrometheusHandle;

/// Starts collecting figures. Must run inside a Tokio runtime.
///
/// # Errors
/// When a recorder is installed already.
pub fn start_figures() -> Result<Figures, metrics_exporter_prometheus::BuildError> {
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
