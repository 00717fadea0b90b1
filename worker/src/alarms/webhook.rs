//! How our webhook is registered with Kapso: what makes messages not come is an alarm.

use sqlx::PgPool;

use super::{AlarmSettings, Verdict};
use crate::{
    fault::Fault,
    gaps::numbers,
    kapso::platform::{Platform, PlatformError},
    webhooks::{Finding, Severity, Wanted, diagnose},
};

/// What was seen.
pub(super) struct Seen {
    pub(super) paused: Verdict,
    pub(super) wrong: Verdict,
}

/// Why nothing was.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSeen {
    /// Kapso did not answer.
    #[error(transparent)]
    Kapso(#[from] PlatformError),
    /// The database.
    #[error(transparent)]
    Store(#[from] Fault),
}

/// Asks Kapso for the webhooks of our numbers: the one that is configured and those that we have
/// seen. None: no number of ours is known yet.
pub(super) async fn look(
    settings: &AlarmSettings,
    platform: &Platform,
    pool: &PgPool,
) -> Result<Option<Seen>, NotSeen> {
    let ours = numbers::ours(pool, settings.phone_number_id.as_deref()).await.map_err(Fault::from)?;
    if ours.is_empty() {
        return Ok(None);
    }
    let url = settings.public.as_ref().map(|public| public.door().to_string());
    let style = Some(settings.api.style);
    let wanted = Wanted { url: url.as_deref(), secrets: &settings.secrets, style };
    let mut findings = Vec::new();
    for number in &ours {
        match platform.webhooks_of(number).await {
            Ok(webhooks) => findings.extend(diagnose(&webhooks, &wanted)),
            // One that we have seen once, and that is not of this project any more.
            Err(PlatformError::NotFound { .. }) if settings.phone_number_id.as_ref() != Some(number) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(judge(&findings)))
}

fn judge(findings: &[Finding]) -> Seen {
    let worst = |is_paused: bool| {
        let broken = findings.iter().find(|it| it.severity == Severity::Broken && it.is_paused == is_paused);
        Verdict::of(broken.map(|it| format!("{}: {}", it.what, it.remedy)))
    };
    Seen { paused: worst(true), wrong: worst(false) }
}
