//! The test event, and its signature.

use contract::{
    secrets,
    settings::{Environment, Secret, Settings, SettingsError},
    signature::{self, SignatureHeader},
};
use time::OffsetDateTime;

use crate::tools::{post::Headers, screen};

/// The kind of the test event. No dialect has it.
pub(crate) const KIND: &str = "test.doctor";

/// A body that every serialiser writes like this: no rewriting changes it.
pub(super) const UNCHANGEABLE: &[u8] = b"{}";

/// A test event, unlike any before. Whoever parses it and writes it anew changes it: by its
/// spaces, its order, its escapes, or its number.
pub(super) fn event() -> Vec<u8> {
    let id: u128 = rand::random();
    let now = screen::instant(OffsetDateTime::now_utc());
    format!(
        r#"{{"event_type":  "{KIND}", "id":"{id:032x}","sent_at" :"{now}",
 "text":"R&D <\u00f1ñ> \/", "number":1.50, "z":[ ], "a":null }}"#
    )
    .into_bytes()
}

/// Signs bodies as Kapso would.
pub(super) struct Signer(Option<(Vec<SignatureHeader>, &'static str, Secret)>);

impl Signer {
    /// By the first webhook secret, else by Meta's app secret. In development there may be neither.
    pub(super) fn read(settings: &Settings, environment: Environment) -> Result<Self, SettingsError> {
        // Kapso's header today, and the guide's: ingest takes either.
        let both = vec![SignatureHeader::Webhook, SignatureHeader::Kapso];
        match (secrets::to_sign_with(settings), secrets::meta_app(settings)?) {
            (Ok(secret), _) => Ok(Self(Some((both, "", secret)))),
            (Err(_), Some(secret)) => Ok(Self(Some((vec![SignatureHeader::Hub], "sha256=", secret)))),
            (Err(_), None) if environment == Environment::Development => Ok(Self(None)),
            (Err(error), None) => Err(error),
        }
    }

    /// The headers for a body.
    pub(super) fn headers(&self, body: &[u8]) -> Headers {
        // Where the body names no kind, the header does.
        let mut headers: Headers = vec![("X-Webhook-Event", KIND.to_owned())];
        if let Some((names, prefix, secret)) = &self.0 {
            let signature = format!("{prefix}{}", signature::sign(secret, body));
            headers.extend(names.iter().map(|name| (name.name(), signature.clone())));
        }
        headers
    }
}
