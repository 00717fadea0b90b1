//! Which secrets open the door, and where they are set: ingest checks with them, and the tools
//! of both programs sign with them.

use crate::settings::{Secret, Settings, SettingsError};

/// The secret of the webhook.
pub const WEBHOOK: &str = "KAPSO_WEBHOOK_SECRET";
/// More of them, separated by white space.
pub const MORE_WEBHOOKS: &str = "KAPSO_WEBHOOK_SECRETS";
/// Meta's app secret.
pub const META_APP: &str = "KAPSO_META_APP_SECRET";

/// The webhook secrets, in the order in which they are tried.
///
/// # Errors
/// When one can't be read.
pub fn webhook(settings: &Settings) -> Result<Vec<Secret>, SettingsError> {
    let mut secrets: Vec<_> = settings.secret(WEBHOOK)?.into_iter().collect();
    if let Some(more) = settings.secret(MORE_WEBHOOKS)? {
        secrets.extend(more.expose().split_whitespace().map(Secret::new));
    }
    Ok(secrets)
}

/// Meta's app secret, if there is one.
///
/// # Errors
/// When it can't be read.
pub fn meta_app(settings: &Settings) -> Result<Option<Secret>, SettingsError> {
    settings.secret(META_APP)
}

/// The first webhook secret, which tools sign with.
///
/// # Errors
/// When it can't be read, or there is none.
pub fn to_sign_with(settings: &Settings) -> Result<Secret, SettingsError> {
    let first = webhook(settings)?.into_iter().next();
    first.ok_or_else(|| SettingsError::new(WEBHOOK, "is not set", "give the secret of the webhook in Kapso"))
}
