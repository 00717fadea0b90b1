//! What a check is told by the environment.

use std::{num::NonZeroU32, time::Duration};

use contract::settings::{Settings, SettingsError};
use sqlx::postgres::PgConnectOptions;

use crate::{
    kapso::Api,
    settings::{Switch, database},
};

/// How often Kapso is asked unless configured: its smallest plan allows a key 100 calls a
/// minute, and replies and marks have 80 of them.
const CALLS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(15).unwrap();

/// How often the detector looks unless configured, in minutes.
const EVERY_MINUTES: u64 = 60;

/// The settings of a check.
pub struct GapSettings {
    /// Where Postgres is: the lock has a connection of its own.
    pub database: PgConnectOptions,
    /// Whom to ask.
    pub api: Api,
    /// Our number, beside those that we have seen.
    pub phone_number_id: Option<String>,
    /// How often Kapso is asked at the most.
    pub calls_per_minute: u32,
    /// How often the detector looks (`BUZON_GAP_CHECK_MINUTES`); none: never.
    pub every: Option<Duration>,
    /// Whether the detector stores what it finds (`BUZON_BACKFILL`).
    pub backfill: bool,
}

impl GapSettings {
    /// Reads them.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let minutes: u64 =
            settings.parsed("BUZON_GAP_CHECK_MINUTES", EVERY_MINUTES, "a number of minutes; 0 is never")?;
        Ok(Self {
            database: database(settings)?,
            api: Api::read(settings)?,
            phone_number_id: settings.text("KAPSO_PHONE_NUMBER_ID"),
            calls_per_minute: settings
                .parsed("BUZON_GAP_CALLS_PER_MINUTE", CALLS_PER_MINUTE, "a number of calls, at least 1")?
                .get(),
            every: (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60))),
            backfill: settings.parsed("BUZON_BACKFILL", Switch(false), "on or off")?.0,
        })
    }
}
