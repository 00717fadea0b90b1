//! The webhook as it is registered with Kapso, and what became of what it sent.

mod deliveries;
mod registered;

use contract::settings::Settings;

use self::registered::Expected;
use super::{check::Scope, kapso, report::Finding};
use crate::{
    ingest_url::IngestUrl,
    kapso::{
        Api,
        platform::{Platform, PlatformError, Webhook},
    },
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
    let platform = kapso::platform(settings, ABOUT)?;
    let malformed = |error| kapso::malformed(error, ABOUT);
    let found = of_our_numbers(&platform, settings).await.map_err(|error| kapso::unanswered(error, ABOUT))?;
    let public = IngestUrl::public(settings).map_err(malformed)?;
    let url = public.as_ref().map(|public| public.door().to_string());
    let style = Api::read(settings).map_err(malformed)?.style;
    let expected = Expected { url: url.as_deref(), style };
    let (mut findings, ours) = registered::judge(&found, &expected);
    if let Some(ours) = ours {
        findings.push(deliveries::of(&platform, &ours.id).await);
    }
    Ok(findings)
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
