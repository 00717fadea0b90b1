//! How our webhook is registered with Kapso: what makes messages not come is an alarm.

use std::collections::BTreeSet;

use super::{AlarmSettings, Verdict};
use crate::{
    kapso::platform::{Platform, PlatformError},
    webhooks::{Finding, Severity, Wanted, diagnose},
};

/// What was seen.
pub(super) struct Seen {
    pub(super) paused: Verdict,
    pub(super) wrong: Verdict,
}

/// Asks Kapso for the webhooks of our numbers: the one that is configured and those that we have
/// seen.
pub(super) async fn look(
    settings: &AlarmSettings,
    platform: &Platform,
    ours: &BTreeSet<String>,
) -> Result<Seen, PlatformError> {
    let url = settings.public.as_ref().map(|public| public.door().to_string());
    let style = Some(settings.api.style);
    let wanted = Wanted { url: url.as_deref(), style };
    let mut findings = Vec::new();
    for number in ours {
        match platform.webhooks_of(number).await {
            Ok(webhooks) => findings.extend(diagnose(&webhooks, &wanted)),
            // One that we have seen once, and that is not of this project any more.
            Err(PlatformError::NotFound { .. }) if settings.phone_number_id.as_ref() != Some(number) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(judge(&findings))
}

fn judge(findings: &[Finding]) -> Seen {
    let worst = |is_paused: bool| {
        let broken = findings.iter().find(|it| it.severity == Severity::Broken && it.is_paused == is_paused);
        Verdict::of(broken.map(|it| format!("{}: {}", it.what, it.remedy)))
    };
    Seen { paused: worst(true), wrong: worst(false) }
}
