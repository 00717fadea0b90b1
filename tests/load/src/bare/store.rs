//! The worker's own statements on windows that are there already, without a broker: what Postgres takes at the most
//! of the same rows.

use std::time::Instant;

use anyhow::{Result, anyhow};
use contract::envelope::Envelope;
use contract::settings::Settings;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use worker::store::{Batch, Store};

use super::envelope;
use crate::part::Done;
use crate::traffic::{Stream, Traffic};

/// The worker's default window.
const WINDOW: usize = 250;

/// What is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Storing {
    /// The database, with the schema.
    pub database: String,
    /// The webhooks.
    pub stream: Stream,
    /// How many.
    pub count: u64,
    /// What decides about effects.
    pub settings: Vec<(String, String)>,
}

impl Storing {
    /// Makes the windows, waits for `cue`, and stores them.
    ///
    /// # Errors
    ///
    /// When Postgres goes away or refuses.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Done> {
        let pool = PgPool::connect(&self.database).await?;
        let policy = worker::settings::policy(&Settings::from_values(self.settings)?)?;
        let store = Store::new(pool, policy);
        let traffic = Traffic::of(self.stream)?;
        let webhooks: Vec<Envelope> = (0..self.count).map(|number| envelope(&traffic, number)).collect();
        cue().await?;
        let start = Instant::now();
        for window in webhooks.chunks(WINDOW) {
            store.take(&Batch::of(window)).await.map_err(|fault| anyhow!("{fault}"))?;
        }
        Ok(Done { count: self.count, seconds: start.elapsed().as_secs_f64() })
    }
}
