//! What the settling of replies in doubt is told by the environment.

use std::{str::FromStr, time::Duration};

use contract::settings::{Settings, SettingsError};

/// How long Kapso may take until it lists a message, unless configured. A request that was lost
/// on our side may still be on its way through Kapso and Meta.
const PATIENCE: Seconds = Seconds(60);

/// How replies in doubt are settled.
#[derive(Clone, Copy, Debug)]
pub struct Settle {
    /// How long after our deadline a reply must be missing before it is sent again
    /// (`BUZON_UNKNOWN_SETTLE_SECONDS`).
    pub(super) patience: Duration,
}

/// A patience: at most half of the horizon, so that both listings can be asked for.
struct Seconds(u16);

impl FromStr for Seconds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|seconds| (1..=300).contains(seconds)).map(Self).ok_or(())
    }
}

impl Settle {
    /// Reads it.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let Seconds(seconds) = settings.parsed(
            "BUZON_UNKNOWN_SETTLE_SECONDS",
            PATIENCE,
            "a number of seconds from 1 to 300; less than 60 risks a second reply",
        )?;
        Ok(Self { patience: Duration::from_secs(seconds.into()) })
    }
}
