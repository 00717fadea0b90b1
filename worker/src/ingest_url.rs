//! Where ingest is: for the world (`BUZON_PUBLIC_URL`), and for who is beside it (`BUZON_INGEST_URL`).

use std::net::SocketAddr;

use contract::{
    WEBHOOK_PATH, health,
    settings::{Settings, SettingsError},
};
use reqwest::Url;

use crate::settings::http_address;

/// An address of ingest, without the door's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestUrl(Url);

impl IngestUrl {
    /// The address by which the world reaches it; none when that is not set.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn public(settings: &Settings) -> Result<Option<Self>, SettingsError> {
        const VARIABLE: &str = "BUZON_PUBLIC_URL";
        const EXPECTED: &str = "the address by which Kapso reaches ingest, such as https://buzon.example.com";
        settings.text(VARIABLE).map(|text| Self::parsed(VARIABLE, &text, EXPECTED)).transpose()
    }

    /// The address without going round by the public one: `BUZON_INGEST_URL`, else this machine at the
    /// port of `INGEST_ADDR`.
    ///
    /// # Errors
    /// When a setting is malformed.
    pub fn near(settings: &Settings) -> Result<Self, SettingsError> {
        Self::set_or_listening(settings, "BUZON_INGEST_URL", "INGEST_ADDR", 8000)
    }

    /// The address of its figures: `BUZON_INGEST_METRICS_URL`, else this machine at the port of
    /// `BUZON_INGEST_METRICS_ADDR`.
    ///
    /// # Errors
    /// When a setting is malformed.
    pub fn of_figures(settings: &Settings) -> Result<Self, SettingsError> {
        Self::set_or_listening(settings, "BUZON_INGEST_METRICS_URL", "BUZON_INGEST_METRICS_ADDR", 9101)
    }

    /// An address that somebody gave by `name`.
    ///
    /// # Errors
    /// When it is no address of HTTP.
    pub fn given(name: &str, text: &str) -> Result<Self, SettingsError> {
        Self::parsed(name, text, "an address such as https://buzon.example.com")
    }

    fn set_or_listening(
        settings: &Settings,
        url: &str,
        listens: &str,
        port: u16,
    ) -> Result<Self, SettingsError> {
        if let Some(text) = settings.text(url) {
            return Self::given(url, &text);
        }
        let default = SocketAddr::from(([127, 0, 0, 1], port));
        let listens = settings.parsed(listens, default, "an address such as 127.0.0.1:8000")?;
        Self::given(url, &format!("http://{}", health::reachable(listens)))
    }

    /// One that ends in the door's path is taken without it.
    fn parsed(name: &str, text: &str, expected: &str) -> Result<Self, SettingsError> {
        let mut url = http_address(name, text.trim(), expected)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(SettingsError::new(name, "is malformed", format!("give {expected}")));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix(WEBHOOK_PATH).unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The door.
    #[must_use]
    pub fn door(&self) -> Url {
        self.below(WEBHOOK_PATH)
    }

    /// What is at a path below it.
    #[must_use]
    pub fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// Whether it is one that Kapso sends to: it documents HTTPS only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// Whether an address does not leave this machine.
#[must_use]
pub fn is_here(url: &Url) -> bool {
    is_local(url.host_str().unwrap_or_default())
}

/// Whether a host is this machine.
#[must_use]
pub fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::from_values(pairs.iter().copied()).unwrap()
    }

    fn public(text: &str) -> Result<Option<IngestUrl>, SettingsError> {
        IngestUrl::public(&settings(&[("BUZON_PUBLIC_URL", text)]))
    }

    #[test]
    fn the_door_is_below_the_address_whether_its_path_is_given_or_not() {
        for (text, door) in [
            ("https://buzon.example.com", "https://buzon.example.com/api/whatsapp/webhook"),
            (" https://buzon.example.com/ ", "https://buzon.example.com/api/whatsapp/webhook"),
            ("https://example.com/buzon/", "https://example.com/buzon/api/whatsapp/webhook"),
            ("https://example.com/api/whatsapp/webhook", "https://example.com/api/whatsapp/webhook"),
            ("https://example.com/b/api/whatsapp/webhook/", "https://example.com/b/api/whatsapp/webhook"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/whatsapp/webhook"),
        ] {
            assert_eq!(public(text).unwrap().unwrap().door().as_str(), door, "{text}");
            assert_eq!(IngestUrl::given("--url", text).unwrap().door().as_str(), door, "{text}");
        }
        assert_eq!(public("").unwrap(), None);
    }

    #[test]
    fn ingest_is_where_it_listens_unless_told_otherwise() {
        let door = |pairs: &[(&str, &str)]| IngestUrl::near(&settings(pairs)).unwrap().door().to_string();
        assert_eq!(door(&[]), "http://127.0.0.1:8000/api/whatsapp/webhook");
        assert_eq!(door(&[("INGEST_ADDR", "0.0.0.0:81")]), "http://127.0.0.1:81/api/whatsapp/webhook");
        assert_eq!(
            door(&[("BUZON_INGEST_URL", "http://ingest:8000/")]),
            "http://ingest:8000/api/whatsapp/webhook"
        );
        let figures = IngestUrl::of_figures(&settings(&[])).unwrap().below("/metrics");
        assert_eq!(figures.as_str(), "http://127.0.0.1:9101/metrics");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["buzon.example.com", "ftp://x", "https://x/?a=b", "https://user:pass@x", "https://"] {
            let error = public(text).unwrap_err().to_string();
            assert!(error.starts_with("BUZON_PUBLIC_URL is malformed: give the address by which"), "{error}");
            assert!(!error.contains("pass"), "{error}");
            assert!(IngestUrl::given("--url", text).is_err(), "{text}");
        }
    }
}
