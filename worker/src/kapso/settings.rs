//! How Kapso's API is called: `KAPSO_API_BASE_URL`, `KAPSO_API_TOKEN`, and what goes with them.

use std::{error::Error, num::NonZeroU32};

use contract::settings::{Secret, Settings, SettingsError};
use reqwest::Url;

use super::{ApiStyle, Client, Reach};
use crate::settings::{http_address, token};

/// The base of Kapso's API, as in the guide.
const API_BASE: &str = "https://app.kapso.ai/api/v1";

/// Kapso's proxy for Meta's API.
const META_PROXY: &str = "https://api.kapso.ai/meta/whatsapp/v24.0";

/// How many calls of the API a minute unless configured. Kapso's free plan has 100; the rest is
/// for people, and for asking what never reached us.
const CALLS_A_MINUTE: NonZeroU32 = NonZeroU32::new(80).unwrap();

/// How Kapso's API is called.
pub struct Api {
    /// Its base.
    pub base: Url,
    /// Its style.
    pub style: ApiStyle,
    /// The Meta proxy, beside the conversation API and with its key: it marks what that can't mark.
    pub proxy: Option<Url>,
    /// The key.
    pub token: Option<Secret>,
    /// How many calls may leave in any minute, over all workers.
    pub calls_a_minute: NonZeroU32,
}

impl Api {
    /// Reads it.
    ///
    /// # Errors
    /// When the address or the token is malformed.
    pub(crate) fn read(settings: &Settings) -> Result<Self, SettingsError> {
        const VARIABLE: &str = "KAPSO_API_BASE_URL";
        const EXPECTED: &str = "an address such as https://app.kapso.ai/api/v1";
        let text = settings.text(VARIABLE).unwrap_or_else(|| API_BASE.to_owned());
        let base = http_address(VARIABLE, &text, EXPECTED)?;
        let calls_a_minute =
            settings.parsed("BUZON_API_CALLS_A_MINUTE", CALLS_A_MINUTE, "a number of calls, at least 1")?;
        let style = ApiStyle::of(&base);
        let proxy = meta_proxy(settings, &base)?.filter(|_| style == ApiStyle::Conversation);
        Ok(Self { style, proxy, base, token: token(settings)?, calls_a_minute })
    }

    /// A client of it, if there is a token.
    ///
    /// # Errors
    /// When the token can't be a header, or TLS can't be set up.
    pub(crate) fn client(&self) -> Result<Option<Client>, Box<dyn Error + Send + Sync>> {
        let Some(token) = &self.token else { return Ok(None) };
        let client = Client::new(self.base.clone(), token)?;
        Ok(Some(match &self.proxy {
            Some(proxy) => client.marking_by(proxy.clone(), token),
            None => client,
        }))
    }

    /// What can be called.
    pub(crate) fn reach(&self) -> Reach {
        Reach { style: self.style, proxy_marks: self.proxy.is_some() }
    }
}

/// Reads `KAPSO_META_PROXY_URL`; unless set, Kapso's own beside an API of Kapso's.
fn meta_proxy(settings: &Settings, base: &Url) -> Result<Option<Url>, SettingsError> {
    const VARIABLE: &str = "KAPSO_META_PROXY_URL";
    let kapsos = || is_at_kapso(base).then(|| META_PROXY.to_owned());
    let text = settings.text(VARIABLE).or_else(kapsos);
    text.map(|text| {
        http_address(VARIABLE, &text, "an address such as https://api.kapso.ai/meta/whatsapp/v24.0")
    })
    .transpose()
}

/// Whether an address is one of Kapso's. Where effects go elsewhere (a simulator, a gateway), its
/// token is not taken to Kapso unasked.
pub(crate) fn is_at_kapso(base: &Url) -> bool {
    base.host_str().is_some_and(|host| host == "kapso.ai" || host.ends_with(".kapso.ai"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kapsos_addresses_are_told_from_others() {
        let is = |base: &str| Url::parse(base).is_ok_and(|base| is_at_kapso(&base));
        assert!(is("https://app.kapso.ai/api/v1") && is("https://api.kapso.ai/meta/whatsapp/v24.0"));
        assert!(
            !is("http://127.0.0.1:8080/api/v1")
                && !is("https://notkapso.ai/")
                && !is("https://kapso.ai.example/")
        );
    }
}
