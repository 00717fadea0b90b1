//! What the alarms are told by the environment.

use std::time::Duration;

use contract::{
    alarm::{self, Receiver},
    broker::Broker,
    settings::{Settings, SettingsError},
};
use reqwest::Url;

use crate::{
    ingest_url::IngestUrl,
    kapso::{Api, is_at_kapso, platform::platform_url},
    settings::Switch,
};

/// How often is looked unless configured, in seconds.
const CHECK_SECONDS: u64 = 60;

/// How often Kapso is asked about our webhook unless configured, in minutes.
const WEBHOOK_MINUTES: u64 = 60;

/// How long the queue may be unless configured: some minutes' work.
const BACKLOG: u32 = 1000;

/// The settings of the alarms.
pub struct AlarmSettings {
    /// How often is looked (`BUZON_ALARM_CHECK_SECONDS`); none: never.
    pub every: Option<Duration>,
    /// How often Kapso is asked about our webhook (`BUZON_WEBHOOK_CHECK_MINUTES`); none: never.
    pub webhook_every: Option<Duration>,
    /// From which length on the queue is a backlog (`BUZON_ALARM_BACKLOG`); none: never.
    pub backlog: Option<u32>,
    /// Whether silence is one (`BUZON_ALARM_SILENCE`).
    pub silence: bool,
    /// Who is told (`BUZON_ALERT_URL`).
    pub receiver: Option<Receiver>,
    /// How often what lasts is told again (`BUZON_ALERT_REPEAT_MINUTES`).
    pub repeat: Option<Duration>,
    /// Where the queue is.
    pub(super) broker: Broker,
    /// Whom our webhook is registered with; none where that is not Kapso, and nobody says who.
    pub(super) platform: Option<Url>,
    /// How it is asked, and how effects call.
    pub(super) api: Api,
    /// Our number, beside those that we have seen.
    pub(super) phone_number_id: Option<String>,
    /// Where Kapso finds us.
    pub(super) public: Option<IngestUrl>,
}

impl AlarmSettings {
    /// Reads them.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let period = |variable, default, unit: u64, expected| -> Result<_, SettingsError> {
            let number: u64 = settings.parsed(variable, default, expected)?;
            Ok((number > 0).then(|| Duration::from_secs(number.saturating_mul(unit))))
        };
        let backlog: u32 =
            settings.parsed("BUZON_ALARM_BACKLOG", BACKLOG, "a number of webhooks; 0 is never")?;
        let api = Api::read(settings)?;
        let is_said = is_at_kapso(&api.base) || settings.text("KAPSO_PLATFORM_URL").is_some();
        Ok(Self {
            every: period("BUZON_ALARM_CHECK_SECONDS", CHECK_SECONDS, 1, "a number of seconds; 0 is never")?,
            webhook_every: period(
                "BUZON_WEBHOOK_CHECK_MINUTES",
                WEBHOOK_MINUTES,
                60,
                "a number of minutes; 0 is never",
            )?,
            backlog: (backlog > 0).then_some(backlog),
            silence: settings.parsed("BUZON_ALARM_SILENCE", Switch(true), "on or off")?.0,
            receiver: Receiver::read(settings)?,
            repeat: alarm::repeat(settings)?,
            broker: Broker::from_settings(settings, "buzon-worker-alarms")?,
            platform: is_said.then_some(platform_url(settings)?),
            api,
            phone_number_id: settings.text("KAPSO_PHONE_NUMBER_ID"),
            public: IngestUrl::public(settings)?,
        })
    }
}
