//! Signatures over the exact bytes of a webhook.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Lower-case hex HMAC-SHA256 of `body` under `secret`: what Kapso sends as its signature, without any prefix.
///
/// ```
/// let signature = kapso_sim::sign("secret", b"{}");
/// assert_eq!(signature.len(), 64);
/// ```
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes a key of any length, so the error can't happen; an empty signature would fail loudly if it did.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Lower-case hex SHA-256 of `body`: the idempotency key of a Meta-forwarded webhook.
#[must_use]
pub fn digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::{digest, sign};

    #[test]
    fn signs_like_the_rfc() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn one_byte_changes_the_signature() {
        assert_ne!(sign("s", br#"{"a":1}"#), sign("s", br#"{"a": 1}"#));
    }

    #[test]
    fn digests_nothing() {
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
