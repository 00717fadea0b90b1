//! Who may come in: hex HMAC-SHA256 over the raw bytes of a webhook.
//!
//! A webhook changes its type at the door: what the network gave is a body and some
//! [`Presented`] signatures; [`Keys::verify`] alone makes a [`Verified`] of them, and
//! only a `Verified` can be sealed into an [`crate::envelope::Envelope`].

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings::Secret;

/// The prefix that Meta puts before the hex digits.
/// Source: Meta, "Webhooks: Validating payloads".
const PREFIX: &str = "sha256=";

/// A header that can carry a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureHeader {
    /// `X-Kapso-Signature`: the customer's guide.
    Kapso,
    /// `X-Webhook-Signature`: Kapso today.
    Webhook,
    /// `X-Hub-Signature-256`: Meta, signed with the app secret.
    Hub,
}

impl SignatureHeader {
    /// Every header that is looked at.
    pub const ALL: [Self; 3] = [Self::Kapso, Self::Webhook, Self::Hub];

    /// The header's name as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kapso => "X-Kapso-Signature",
            Self::Webhook => "X-Webhook-Signature",
            Self::Hub => "X-Hub-Signature-256",
        }
    }

    /// The 32 bytes that a header's value stands for, if it is a signature at all.
    /// Kapso sends bare hex (a prefix is harmless); Meta always sends the prefix.
    fn decode(self, value: &[u8]) -> Option<[u8; 32]> {
        let digits = match (self, value.strip_prefix(PREFIX.as_bytes())) {
            (_, Some(digits)) => digits,
            (Self::Hub, None) => return None,
            (Self::Kapso | Self::Webhook, None) => value,
        };
        let mut code = [0; 32];
        hex::decode_to_slice(digits, &mut code).ok()?;
        Some(code)
    }
}

/// The signatures that came with a webhook: at most one value for each header.
#[derive(Default)]
pub struct Presented(Vec<(SignatureHeader, Vec<u8>)>);

impl Presented {
    /// Adds the value of one header line.
    ///
    /// # Errors
    /// [`Refused::Repeated`] when the same header came before: two values are one too
    /// many to say which of them is meant.
    pub fn add(&mut self, header: SignatureHeader, value: &[u8]) -> Result<(), Refused> {
        if self.0.iter().any(|(seen, _)| *seen == header) {
            return Err(Refused::Repeated(header));
        }
        self.0.push((header, value.to_vec()));
        Ok(())
    }
}

/// Why a webhook was not let in. The texts are the guide's, shown to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No header carries a signature.
    #[error("Missing X-Kapso-Signature header")]
    Missing,
    /// No signature belongs to the body and one of our secrets.
    #[error("Invalid webhook signature")]
    Invalid,
    /// A signature header came twice.
    #[error("Duplicate {} header", .0.name())]
    Repeated(SignatureHeader),
}

/// How a webhook was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// By the webhook secret of this index, counted from 0.
    Secret(usize),
    /// By Meta's app secret.
    MetaAppSecret,
    /// By nothing: no secret is configured (development only).
    Nothing,
}

impl fmt::Display for VerifiedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(index) => write!(f, "secret:{index}"),
            Self::MetaAppSecret => f.write_str("meta-app-secret"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// A body that came past the door. Only [`Keys::verify`] makes one.
pub struct Verified {
    body: Bytes,
    by: VerifiedBy,
}

impl Verified {
    /// The raw bytes that were authenticated.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How they were authenticated.
    #[must_use]
    pub fn by(&self) -> VerifiedBy {
        self.by
    }

    /// Both, for sealing.
    pub(crate) fn into_parts(self) -> (Bytes, VerifiedBy) {
        (self.body, self.by)
    }
}

/// The secrets that open the door, ready to hash with.
#[derive(Clone)]
pub struct Keys {
    webhook: Vec<Hmac<Sha256>>,
    meta_app: Option<Hmac<Sha256>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("webhook", &self.webhook.len())
            .field("meta_app", &self.meta_app.is_some())
            .finish()
    }
}

impl Keys {
    /// Keys from the webhook secrets, in the order in which they are tried, and Meta's app secret.
    #[must_use]
    pub fn new(webhook: &[Secret], meta_app: Option<&Secret>) -> Self {
        Self { webhook: webhook.iter().map(keyed).collect(), meta_app: meta_app.map(keyed) }
    }

    /// Whether no secret is configured at all, so that everything is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.webhook.is_empty() && self.meta_app.is_none()
    }

    /// Authenticates `body` by any one of the signatures `presented`.
    ///
    /// # Errors
    /// [`Refused`], with the reason that the sender is told.
    pub fn verify(&self, presented: &Presented, body: Bytes) -> Result<Verified, Refused> {
        if self.is_empty() {
            return Ok(Verified { body, by: VerifiedBy::Nothing });
        }
        if presented.0.is_empty() {
            return Err(Refused::Missing);
        }
        match presented.0.iter().find_map(|(header, value)| self.check(*header, value, &body)) {
            Some(by) => Ok(Verified { body, by }),
            None => Err(Refused::Invalid),
        }
    }

    /// Whether one of the signatures `presented` belongs to `bytes` that did *not* come: a
    /// question about what went wrong on the way. It makes no [`Verified`], and lets nobody in.
    #[must_use]
    pub fn would_take(&self, presented: &Presented, bytes: &[u8]) -> bool {
        presented.0.iter().any(|(header, value)| self.check(*header, value, bytes).is_some())
    }

    /// The key that made this signature of this body, if one of ours did.
    fn check(&self, header: SignatureHeader, value: &[u8], body: &[u8]) -> Option<VerifiedBy> {
        let code = header.decode(value)?;
        let made_by = |key: &Hmac<Sha256>| key.clone().chain_update(body).verify_slice(&code).is_ok();
        match header {
            SignatureHeader::Hub => {
                self.meta_app.as_ref().filter(|key| made_by(key)).map(|_| VerifiedBy::MetaAppSecret)
            }
            SignatureHeader::Kapso | SignatureHeader::Webhook => {
                self.webhook.iter().position(made_by).map(VerifiedBy::Secret)
            }
        }
    }
}

/// The signature of `body`: 64 lower-case hex digits, without a prefix.
#[must_use]
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    hex::encode(keyed(secret).chain_update(body).finalize().into_bytes())
}

fn keyed(secret: &Secret) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    Hmac::new_from_slice(secret.expose().as_bytes()).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = "{\"content\":\"¿Qué tal? 😊\"}".as_bytes();

    fn keys() -> Keys {
        Keys::new(&[Secret::new("new"), Secret::new("old")], Some(&Secret::new("app")))
    }

    fn verify(lines: &[(SignatureHeader, String)]) -> Result<VerifiedBy, Refused> {
        let mut presented = Presented::default();
        for (header, value) in lines {
            presented.add(*header, value.as_bytes())?;
        }
        keys().verify(&presented, Bytes::from_static(BODY)).map(|verified| verified.by())
    }

    fn signed(secret: &str) -> String {
        sign(&Secret::new(secret), BODY)
    }

    use SignatureHeader::{Hub, Kapso, Webhook};

    #[test]
    fn a_known_vector() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign(&Secret::new("Jefe"), b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn each_header_with_its_own_secret() {
        assert_eq!(verify(&[(Kapso, signed("new"))]), Ok(VerifiedBy::Secret(0)));
        assert_eq!(verify(&[(Webhook, signed("old"))]), Ok(VerifiedBy::Secret(1)));
        assert_eq!(verify(&[(Hub, format!("sha256={}", signed("app")))]), Ok(VerifiedBy::MetaAppSecret));
        assert_eq!(verify(&[(Hub, format!("sha256={}", signed("new")))]), Err(Refused::Invalid));
        assert_eq!(verify(&[(Kapso, signed("app"))]), Err(Refused::Invalid));
    }

    #[test]
    fn prefix_and_case() {
        assert_eq!(verify(&[(Kapso, format!("sha256={}", signed("new")))]), Ok(VerifiedBy::Secret(0)));
        assert_eq!(verify(&[(Kapso, signed("new").to_uppercase())]), Ok(VerifiedBy::Secret(0)));
        assert_eq!(verify(&[(Kapso, format!("sha512={}", signed("new")))]), Err(Refused::Invalid));
        assert_eq!(verify(&[(Hub, signed("app"))]), Err(Refused::Invalid));
    }

    #[test]
    fn what_is_no_signature_is_invalid() {
        let good = signed("new");
        for bad in ["", "abc", &good[..63], &format!("{good}00"), &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(verify(&[(Kapso, bad.to_owned())]), Err(Refused::Invalid), "{bad}");
        }
    }

    #[test]
    fn any_one_valid_header_is_enough_but_never_the_same_twice() {
        assert_eq!(verify(&[(Kapso, "0".repeat(64)), (Webhook, signed("new"))]), Ok(VerifiedBy::Secret(0)));
        assert_eq!(verify(&[(Kapso, signed("new")), (Kapso, signed("new"))]), Err(Refused::Repeated(Kapso)));
        assert_eq!(verify(&[]), Err(Refused::Missing));
    }

    #[test]
    fn without_a_secret_everything_comes_in() {
        let verified = Keys::new(&[], None).verify(&Presented::default(), Bytes::from_static(BODY));
        assert_eq!(verified.map(|verified| verified.by()).ok(), Some(VerifiedBy::Nothing));
    }
}
