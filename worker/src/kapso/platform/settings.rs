//! Where the platform API is (`KAPSO_PLATFORM_URL`).

use contract::settings::{Settings, SettingsError};
use reqwest::Url;

use crate::settings::http_address;

/// Where the platform API is unless configured.
const PLATFORM_URL: &str = "https://api.kapso.ai/platform/v1";

/// Reads `KAPSO_PLATFORM_URL`.
///
/// # Errors
/// When it is malformed.
pub fn platform_url(settings: &Settings) -> Result<Url, SettingsError> {
    const VARIABLE: &str = "KAPSO_PLATFORM_URL";
    let text = settings.text(VARIABLE).unwrap_or_else(|| PLATFORM_URL.to_owned());
    http_address(VARIABLE, &text, "an address such as https://api.kapso.ai/platform/v1")
}
