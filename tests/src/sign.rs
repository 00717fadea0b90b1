//! Signatures as the sender makes them; computed here on its own, so that a mistake in the product can't hide.

use anyhow::Result;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Lower-case hex of HMAC-SHA256 over the bytes.
///
/// # Errors
///
/// Never in practice: HMAC takes a key of any length.
pub fn hex(secret: &str, body: &[u8]) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn agrees_with_openssl() -> anyhow::Result<()> {
        // printf %s 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe (RFC 4231, case 2)
        assert_eq!(
            super::hex("Jefe", b"what do ya want for nothing?")?,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        Ok(())
    }
}
