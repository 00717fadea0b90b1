//! Kapso's platform API, as checks ask it.

use contract::settings::{Settings, SettingsError};

use super::report::Finding;
use crate::{
    kapso::platform::{Platform, PlatformError, platform_url},
    tools::screen,
};

/// A client of it; else why nothing was asked.
pub(super) fn platform(settings: &Settings, about: &'static str) -> Result<Platform, Box<Finding>> {
    const VARIABLE: &str = "KAPSO_API_TOKEN";
    let malformed = |error| malformed(error, about);
    let token = settings.secret(VARIABLE).map_err(malformed)?;
    let token = token.ok_or_else(|| {
        let says = "Kapso was not asked: KAPSO_API_TOKEN is not set";
        Finding::remark(about, says, "set it, or look in Kapso yourself")
    })?;
    let base = platform_url(settings).map_err(malformed)?;
    Ok(Platform::new(base, &token).map_err(|_| {
        Finding::wrong(about, format!("{VARIABLE} can't be used"), "give the API key as Kapso shows it")
    })?)
}

/// A setting that can't be read.
pub(super) fn malformed(error: SettingsError, about: &'static str) -> Box<Finding> {
    Box::new(Finding::wrong(about, format!("{} {}", error.variable, error.problem), error.remedy))
}

/// What Kapso said instead of what it was asked for.
pub(super) fn unanswered(error: PlatformError, about: &'static str) -> Box<Finding> {
    let text = screen::plain(&error.to_string());
    let (says, remedy) = text
        .split_once("): ")
        .map_or((text.as_str(), "try again in a minute"), |(says, remedy)| (says, remedy));
    let says = if text.contains("): ") { format!("{says})") } else { says.to_owned() };
    Box::new(Finding::wrong(about, says, remedy))
}
