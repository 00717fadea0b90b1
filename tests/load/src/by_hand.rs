//! Loading a running product by hand.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use clap::Args;
use load::send::{Sending, Sent};
use load::traffic::{Dialect, Stream, Traffic};
use load::verify::verify;
use sqlx::PgPool;
use time::OffsetDateTime;

/// What `send` leaves for `verify`.
const LEDGER: &str = "buzon-load.json";

#[derive(Args)]
pub(crate) struct Send {
    /// Where ingest listens
    #[arg(long, default_value = "127.0.0.1:8000")]
    door: SocketAddr,
    /// The webhook's secret
    #[arg(long, env = "KAPSO_WEBHOOK_SECRET", hide_env_values = true)]
    secret: String,
    /// The shape: guide, v2 or meta
    #[arg(long, default_value = "v2")]
    dialect: Dialect,
    /// Webhooks a second, by a schedule; without it, as fast as they are answered
    #[arg(long)]
    rate: Option<f64>,
    /// For how many seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How many connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Every so many messages asks for help; 0: none does
    #[arg(long, default_value_t = 0)]
    ask_every: u64,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
}

impl Send {
    pub(crate) async fn run(self) -> Result<()> {
        let since = OffsetDateTime::now_utc().unix_timestamp();
        let stream = Stream {
            dialect: self.dialect,
            // Unlike the last one's.
            name: format!("{since:08x}"),
            contacts: 10_000,
            ask_every: self.ask_every,
            since,
            rate: self.rate.unwrap_or_default(),
        };
        let sending = Sending {
            door: self.door,
            secret: self.secret,
            stream: stream.clone(),
            first: 0,
            connections: self.connections,
            rate: self.rate,
            seconds: self.seconds,
            warm_up: 0.0,
        };
        let sent = sending.run(async || Ok(())).await?;
        println!("{} sent, {:.0} answered 200 a second, {} not", sent.count, sent.rate, sent.refused.len());
        let took = sent.latency;
        println!(
            "p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.1} ms",
            took.p50, took.p99, took.p999, took.max
        );
        std::fs::write(LEDGER, serde_json::to_vec(&(stream, sent))?)?;
        println!("buzon-load verify looks for them ({LEDGER})");
        Ok(())
    }
}

impl Verify {
    pub(crate) async fn run(self) -> Result<()> {
        let ledger =
            std::fs::read(LEDGER).with_context(|| format!("no {LEDGER} here: buzon-load send first"))?;
        let (stream, sent): (Stream, Sent) = serde_json::from_slice(&ledger)?;
        let verdict = verify(&PgPool::connect(&self.database).await?, &Traffic::of(stream)?, &sent).await?;
        verdict.judge()?;
        println!("all of {} webhooks are there, once each", verdict.wanted);
        Ok(())
    }
}
