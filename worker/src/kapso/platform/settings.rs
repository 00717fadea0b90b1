//! Where the platform API is (`KAPSO_PLATFORM_URL`), and where Kapso finds us
//! (`BUZON_PUBLIC_URL`).

use contract::settings::{Settings, SettingsError};
use reqwest::Url;

use crate::settings::http_address;

/// The path of the door, below the public address.
pub const WEBHOOK_PATH: &str = "/api/whatsapp/webhook";

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

/// The address by which the world reaches ingest, without the door's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads `BUZON_PUBLIC_URL`; none when it is not set.
    ///
    /// # Errors
    /// When it is malformed. One that ends in the door's path is taken without it.
    pub fn read(settings: &Settings) -> Result<Option<Self>, SettingsError> {
        const VARIABLE: &str = "BUZON_PUBLIC_URL";
        const EXPECTED: &str = "the address by which Kapso reaches ingest, such as https://buzon.example.com";
        let Some(text) = settings.text(VARIABLE) else { return Ok(None) };
        let mut url = http_address(VARIABLE, text.trim(), EXPECTED)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(SettingsError::new(VARIABLE, "is malformed", format!("give {EXPECTED}")));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix(WEBHOOK_PATH).unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Some(Self(url)))
    }

    /// The address of the door.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}{WEBHOOK_PATH}", self.0.as_str().trim_end_matches('/'))
    }

    /// Whether it is one that Kapso sends to: it documents HTTPS only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn public(text: &str) -> Result<Option<PublicUrl>, SettingsError> {
        PublicUrl::read(&Settings::from_values([("BUZON_PUBLIC_URL", text)]).unwrap())
    }

    #[test]
    fn the_door_is_below_the_public_address() {
        for (text, door) in [
            ("https://buzon.example.com", "https://buzon.example.com/api/whatsapp/webhook"),
            (" https://buzon.example.com/ ", "https://buzon.example.com/api/whatsapp/webhook"),
            ("https://example.com/buzon/", "https://example.com/buzon/api/whatsapp/webhook"),
            ("https://example.com/api/whatsapp/webhook", "https://example.com/api/whatsapp/webhook"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/whatsapp/webhook"),
        ] {
            assert_eq!(public(text).unwrap().unwrap().webhook_url(), door, "{text}");
        }
        assert_eq!(public("").unwrap(), None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["buzon.example.com", "ftp://x", "https://x/?a=b", "https://user:pass@x", "https://"] {
            let error = public(text).unwrap_err().to_string();
            assert!(error.starts_with("BUZON_PUBLIC_URL is malformed: give the address by which"), "{error}");
            assert!(!error.contains("pass"), "{error}");
        }
    }
}
