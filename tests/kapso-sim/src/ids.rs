//! Names for what the simulator makes up. Never seeded: two simulators must not name two things alike.

use rand::{RngExt as _, distr::Alphanumeric};

/// A random UUID (version 4), as Kapso names its own objects.
#[must_use]
pub fn uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A message name as Meta gives it: `wamid.` and an opaque string.
#[must_use]
pub fn wamid() -> String {
    let tail: String = rand::rng().sample_iter(Alphanumeric).take(40).map(char::from).collect();
    format!("wamid.HBg{tail}")
}

#[cfg(test)]
mod tests {
    use super::{uuid, wamid};

    #[test]
    fn a_uuid_has_its_version() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert_ne!(id, uuid());
    }

    #[test]
    fn a_wamid_is_one() {
        assert!(wamid().starts_with("wamid."));
        assert_ne!(wamid(), wamid());
    }
}
