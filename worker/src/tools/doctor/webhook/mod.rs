//! The webhook as it is registered with Kapso, and what became of what it sent.

mod deliveries;
mod registered;

use contract::{
    secrets,
    settings::{Settings, SettingsError},
};

use self::registered::Expected;
use super::{check::Scope, report::Finding};
use crate::{
    ingest_url::IngestUrl,
    kapso::{
        Api,
        platform::{Platform, PlatformError, Webhook, platform_url},
    },
    tools::screen,
};

const ABOUT: &str = "registered";

/// Asks Kapso for it; nothing is changed there.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    match asked(&scope.settings).await {
        Ok(findings) => findings,
        Err(finding) => vec![*finding],
    }
}

async fn asked(settings: &Settings) -> Result<Vec<Finding>, Box<Finding>> {
    let platform = platform(settings)?;
    let found = of_our_numbers(&platform, settings).await.map_err(unanswered)?;
    let public = IngestUrl::public(settings).map_err(malformed)?;
    let secrets = secrets::webhook(settings).map_err(malformed)?;
    let url = public.as_ref().map(|public| public.door().to_string());
    let style = Api::read(settings).map_err(malformed)?.style;
    let expected = Expected { url: url.as_deref(), secrets: &secrets, style };
    let (mut findings, ours) = registered::judge(&found, &expected);
    if let Some(ours) = ours {
        findings.push(deliveries::of(&platform, &ours.id).await);
    }
    Ok(findings)
}

fn platform(settings: &Settings) -> Result<Platform, Box<Finding>> {
    const VARIABLE: &str = "KAPSO_API_TOKEN";
    let token = settings.secret(VARIABLE).map_err(malformed)?;
    let token = token.ok_or_else(|| {
        let says = "Kapso was not asked for the webhook: KAPSO_API_TOKEN is not set";
        Finding::remark(ABOUT, says, "set it, or look at the webhook in Kapso yourself")
    })?;
    let base = platform_url(settings).map_err(malformed)?;
    let platform = Platform::new(base, &token);
    Ok(platform.map_err(|_| {
        Finding::wrong(ABOUT, format!("{VARIABLE} can't be used"), "give the API key as Kapso shows it")
    })?)
}

/// The webhooks of our number, or of every number that the token sees.
async fn of_our_numbers(platform: &Platform, settings: &Settings) -> Result<Vec<Webhook>, PlatformError> {
    let numbers = match settings.text("KAPSO_PHONE_NUMBER_ID") {
        Some(number) => vec![number],
        None => platform.phone_numbers().await?.into_iter().map(|number| number.phone_number_id).collect(),
    };
    let mut webhooks = Vec::new();
    for number in numbers {
        webhooks.extend(platform.webhooks_of(&number).await?);
    }
    Ok(webhooks)
}

fn malformed(error: SettingsError) -> Box<Finding> {
    Box::new(Finding::wrong(ABOUT, format!("{} {}", error.variable, error.problem), error.remedy))
}

fn unanswered(error: PlatformError) -> Box<Finding> {
    let text = screen::plain(&error.to_string());
    let (says, remedy) = text
        .split_once("): ")
        .map_or((text.as_str(), "try again in a minute"), |(says, remedy)| (says, remedy));
    let says = if text.contains("): ") { format!("{says})") } else { says.to_owned() };
    Box::new(Finding::wrong(ABOUT, says, remedy))
}
