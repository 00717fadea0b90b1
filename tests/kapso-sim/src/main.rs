//! Runs the simulator by itself: Kapso for a laptop.

mod healthcheck;

use std::{io::IsTerminal as _, net::SocketAddr, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use kapso_sim::{Dialect, Sim, SimConfig, story::Line};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A stand-in for Kapso: serves its API, remembers every call, sends signed webhooks.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where to listen.
    #[arg(long, env = "SIM_ADDR", default_value = "127.0.0.1:8080", global = true)]
    addr: SocketAddr,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the simulator (the default).
    Run,
    /// Ask the running simulator whether it lives: exit code 0 or 1.
    Healthcheck,
}

#[derive(Args)]
struct Settings {
    /// Where webhooks go.
    #[arg(long, env = "SIM_WEBHOOK_URL", default_value = "http://127.0.0.1:8000/api/whatsapp/webhook")]
    webhook_url: String,
    /// Signs webhooks; empty: they go unsigned.
    #[arg(long, env = "KAPSO_WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
    /// Signs Meta-forwarded webhooks as X-Hub-Signature-256.
    #[arg(long, env = "KAPSO_META_APP_SECRET", hide_env_values = true)]
    meta_app_secret: Option<String>,
    /// The one key that the API takes; empty: any.
    #[arg(long, env = "KAPSO_API_TOKEN", hide_env_values = true)]
    api_token: Option<String>,
    /// The shape of webhooks: guide, v1, v2, v2-batch or meta.
    #[arg(long, env = "SIM_DIALECT", default_value = "guide")]
    dialect: Dialect,
    /// What every documented duration is multiplied by: 0.01 is a hundred times faster.
    #[arg(long, env = "SIM_TIME_SCALE", default_value_t = 1.0)]
    time_scale: f64,
    /// Meta's id of the number to play.
    #[arg(long, env = "KAPSO_PHONE_NUMBER_ID")]
    phone_number_id: Option<String>,
}

impl Settings {
    fn config(self, addr: SocketAddr) -> Result<SimConfig> {
        anyhow::ensure!(
            self.time_scale.is_finite() && self.time_scale >= 0.0,
            "SIM_TIME_SCALE must be a number that is not negative"
        );
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let mut line = Line::default();
        line.phone_number_id = given(self.phone_number_id).unwrap_or(line.phone_number_id);
        Ok(SimConfig {
            addr,
            webhook_url: given(Some(self.webhook_url)),
            webhook_secret: given(self.webhook_secret),
            meta_app_secret: given(self.meta_app_secret),
            api_key: given(self.api_token),
            dialect: self.dialect,
            time_scale: self.time_scale,
            line,
            // People post webhooks by hand; their ids are unknown here, and that is no reason to refuse a mark.
            lenient: true,
            ..SimConfig::default()
        })
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Some(Command::Healthcheck)) {
        return healthcheck::run(cli.addr);
    }
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal()).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<()> {
    let config = cli.settings.config(cli.addr)?;
    if config.webhook_secret.is_none() {
        tracing::warn!("KAPSO_WEBHOOK_SECRET is not set: webhooks go unsigned");
    }
    let dialect = config.dialect;
    let mut sim = Sim::start(config).await?;
    tracing::info!(addr = %sim.addr(), %dialect, "simulator listens");

    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = sim.failed() => return ended,
    }
    tracing::info!("simulator stops");
    sim.stop().await
}
