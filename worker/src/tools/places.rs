//! Where ingest is, as the tools see it.

use std::net::SocketAddr;

use contract::{
    health,
    settings::{Settings, SettingsError},
};
use reqwest::Url;

/// The path of the door.
const DOOR: &str = "/api/whatsapp/webhook";

/// The door of ingest, without going round by the public address: `BUZON_INGEST_URL`, else
/// this machine at the port of `INGEST_ADDR`.
///
/// # Errors
/// When a setting is malformed.
pub fn door(settings: &Settings) -> Result<Url, SettingsError> {
    base(settings, "BUZON_INGEST_URL", "INGEST_ADDR", 8000).map(|base| door_of(&base))
}

/// Where ingest's figures are read: `BUZON_INGEST_METRICS_URL`, else this machine at the port of
/// `BUZON_INGEST_METRICS_ADDR`.
pub fn figures(settings: &Settings) -> Result<Url, SettingsError> {
    let base = base(settings, "BUZON_INGEST_METRICS_URL", "BUZON_INGEST_METRICS_ADDR", 9101)?;
    Ok(below(&base, "/metrics"))
}

/// Where ingest says whether it is ready.
pub fn readiness(settings: &Settings) -> Result<Url, SettingsError> {
    base(settings, "BUZON_INGEST_URL", "INGEST_ADDR", 8000).map(|base| below(&base, "/readyz"))
}

/// The door at an address that somebody gave, with its path or without.
///
/// # Errors
/// When it is no address of HTTP.
pub fn door_at(variable: &str, text: &str) -> Result<Url, SettingsError> {
    address(variable, text).map(|base| door_of(&base))
}

fn base(settings: &Settings, url: &str, listens: &str, port: u16) -> Result<Url, SettingsError> {
    if let Some(text) = settings.text(url) {
        return address(url, &text);
    }
    let default = SocketAddr::from(([127, 0, 0, 1], port));
    let listens = settings.parsed(listens, default, "an address such as 127.0.0.1:8000")?;
    address(url, &format!("http://{}", health::reachable(listens)))
}

fn address(variable: &str, text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        SettingsError::new(variable, "is malformed", "give an address such as https://buzon.example.com")
    })
}

fn door_of(base: &Url) -> Url {
    if base.path().trim_end_matches('/').ends_with(DOOR) { base.clone() } else { below(base, DOOR) }
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url
}

/// Whether an address does not leave this machine.
pub fn is_here(url: &Url) -> bool {
    is_local(url.host_str().unwrap_or_default())
}

/// Whether a host is this machine.
pub fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn ingest_is_where_it_listens_unless_told_otherwise() {
        let door = |pairs: &[(&str, &str)]| {
            super::door(&Settings::from_values(pairs.iter().copied()).unwrap()).unwrap().to_string()
        };
        assert_eq!(door(&[]), "http://127.0.0.1:8000/api/whatsapp/webhook");
        assert_eq!(door(&[("INGEST_ADDR", "0.0.0.0:81")]), "http://127.0.0.1:81/api/whatsapp/webhook");
        assert_eq!(
            door(&[("BUZON_INGEST_URL", "http://ingest:8000/")]),
            "http://ingest:8000/api/whatsapp/webhook"
        );
    }

    #[test]
    fn the_path_of_the_door_may_be_given_or_not() {
        for text in
            ["https://x.example/b", "https://x.example/b/", "https://x.example/b/api/whatsapp/webhook"]
        {
            assert_eq!(door_at("--url", text).unwrap().as_str(), "https://x.example/b/api/whatsapp/webhook");
        }
        assert!(door_at("--url", "x.example").is_err());
    }
}
