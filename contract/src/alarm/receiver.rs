//! Whoever is told: one POST for each notice, with a time-out.

use std::{error::Error, fmt, time::Duration};

use reqwest::{Client, Url, redirect};

use super::Notice;
use crate::settings::{Secret, Settings, SettingsError};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long telling may take in all.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where alarms are told. Its address never shows: such addresses hold keys.
#[derive(Clone)]
pub struct Receiver {
    http: Client,
    url: Secret,
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTold {
    /// It answered with another status than 2xx.
    #[error("it answered {0}")]
    Status(u16),
    /// It did not answer.
    #[error("{0}")]
    NoAnswer(String),
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Receiver {
    /// Reads `BUZON_ALERT_URL`; none where it is not set.
    ///
    /// # Errors
    /// When it is no address, or TLS can't be set up.
    pub fn read(settings: &Settings) -> Result<Option<Self>, SettingsError> {
        const VARIABLE: &str = "BUZON_ALERT_URL";
        let Some(url) = settings.secret(VARIABLE)? else { return Ok(None) };
        let is_http = Url::parse(url.expose())
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_http {
            let remedy = "give an address such as https://alerts.example.com/buzon";
            return Err(SettingsError::new(VARIABLE, "is malformed", remedy));
        }
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A POST that is redirected would be sent again, or as a GET.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| {
                SettingsError::new(VARIABLE, format!("can't be used ({error})"), "look after TLS")
            })?;
        Ok(Some(Self { http, url }))
    }

    /// Tells it.
    ///
    /// # Errors
    /// When it is not taken within seconds.
    pub async fn tell(&self, notice: &Notice<'_>) -> Result<(), NotTold> {
        let request = self.http.post(self.url.expose()).json(&notice.json());
        let status = request.send().await.map_err(|error| NotTold::NoAnswer(cause(&error)))?.status();
        if status.is_success() { Ok(()) } else { Err(NotTold::Status(status.as_u16())) }
    }
}

/// The innermost cause, without the address.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let Some(mut innermost) = error.source() else { return "the request failed".to_owned() };
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read(url: &str) -> Result<Option<Receiver>, SettingsError> {
        Receiver::read(&Settings::from_values([("BUZON_ALERT_URL", url)]).unwrap())
    }

    #[test]
    fn its_address_is_never_shown() {
        assert!(read("").unwrap().is_none());
        let receiver = read("https://alerts.example.com/k3y").unwrap().unwrap();
        assert!(!format!("{receiver:?}").contains("k3y"));
        let error = read("alerts.example.com/k3y").unwrap_err().to_string();
        assert!(error.starts_with("BUZON_ALERT_URL is malformed") && !error.contains("k3y"), "{error}");
    }
}
