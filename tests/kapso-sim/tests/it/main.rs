//! The simulator against a tiny receiver and a plain HTTP client.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod control;
mod faults;
mod listings;
mod phone_calls;
mod platform;
mod receiver;
mod refusals;
mod webhooks;

use std::time::Duration;

use kapso_sim::{Sim, SimConfig};
use receiver::Receiver;

const SECRET: &str = "un secreto";
const PATIENCE: Duration = Duration::from_secs(20);

/// A hundred times faster than Kapso, pointed at `receiver`.
fn config(receiver: &Receiver) -> SimConfig {
    SimConfig {
        webhook_url: Some(receiver.url()),
        webhook_secret: Some(SECRET.to_owned()),
        time_scale: 0.01,
        ..SimConfig::default()
    }
}

async fn start(config: SimConfig) -> Sim {
    Sim::start(config).await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
