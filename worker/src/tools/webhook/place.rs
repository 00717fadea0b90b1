//! Whom to ask, about which number, and what our settings say the webhook should be.

use contract::{
    secrets,
    settings::{Secret, Settings, SettingsError},
};

use super::Which;
use crate::{
    ingest_url::IngestUrl,
    kapso::{
        Api, ApiStyle,
        platform::{Platform, Webhook, platform_url},
    },
    settings::token,
    webhooks::{self, Wanted},
};

/// What the settings say.
pub(super) struct Place {
    pub(super) platform: Platform,
    pub(super) public: Option<IngestUrl>,
    url: Option<String>,
    secrets: Vec<Secret>,
    style: ApiStyle,
    number: Option<String>,
}

impl Place {
    pub(super) fn read(settings: &Settings) -> Result<Self, SettingsError> {
        const TOKEN: &str = "KAPSO_API_TOKEN";
        const REMEDY: &str = "give the API key as Kapso shows it: its platform API asks for it";
        let token = token(settings)?.ok_or_else(|| SettingsError::new(TOKEN, "is not set", REMEDY))?;
        let platform = Platform::new(platform_url(settings)?, &token)
            .map_err(|_| SettingsError::new(TOKEN, "can't be used", REMEDY))?;
        let public = IngestUrl::public(settings)?;
        Ok(Self {
            platform,
            url: public.as_ref().map(|public| public.door().to_string()),
            public,
            secrets: secrets::webhook(settings)?,
            style: Api::read(settings)?.style,
            number: settings.text("KAPSO_PHONE_NUMBER_ID"),
        })
    }

    /// What registering needs beyond the rest.
    pub(super) fn needs_everything(&self) -> Result<(), SettingsError> {
        if self.url.is_none() {
            let remedy = "give the address by which Kapso reaches ingest, such as https://buzon.example.com";
            return Err(SettingsError::new("BUZON_PUBLIC_URL", "is not set", remedy));
        }
        if self.secrets.is_empty() {
            let remedy =
                "give a secret (`openssl rand -hex 32` makes one); ingest takes webhooks signed with it";
            return Err(SettingsError::new("KAPSO_WEBHOOK_SECRET", "is not set", remedy));
        }
        Ok(())
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { url: self.url.as_deref(), style: Some(self.style) }
    }

    /// The secret that a webhook is registered with.
    pub(super) fn secret(&self) -> Option<&Secret> {
        self.secrets.first()
    }

    /// The number that is meant; Kapso is asked where nobody says.
    pub(super) async fn number(&self, which: &Which) -> anyhow::Result<String> {
        if let Some(number) = which.number.clone().or_else(|| self.number.clone()) {
            return Ok(number);
        }
        let numbers = self.platform.phone_numbers().await?;
        match &numbers[..] {
            [only] => Ok(only.phone_number_id.clone()),
            [] => anyhow::bail!(
                "Kapso lists no number for this token: set KAPSO_PHONE_NUMBER_ID, or connect one in Kapso"
            ),
            _ => {
                let ids: Vec<_> = numbers.iter().map(|it| it.phone_number_id.as_str()).collect();
                anyhow::bail!(
                    "Kapso lists several numbers ({}): set KAPSO_PHONE_NUMBER_ID, or give --number",
                    ids.join(", ")
                )
            }
        }
    }

    /// The webhook that is meant, of those of the number.
    pub(super) fn chosen<'a>(&self, webhooks: &'a [Webhook], which: &Which) -> anyhow::Result<&'a Webhook> {
        if let Some(id) = &which.id {
            let found = webhooks.iter().find(|webhook| webhook.id == *id);
            return found.ok_or_else(|| {
                anyhow::anyhow!("the number has no webhook {id}: `worker webhook status` lists them")
            });
        }
        webhooks::ours(webhooks, &self.wanted()).ok_or_else(|| match webhooks.len() {
            0 => anyhow::anyhow!("no webhook is registered for the number: worker webhook register"),
            _ => anyhow::anyhow!(
                "which of the number's webhooks is ours is not known: set BUZON_PUBLIC_URL, or give --id (`worker webhook status` lists them)"
            ),
        })
    }
}
