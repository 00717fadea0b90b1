//! The kind of an event, as a webhook names it: `message.received`, `whatsapp.message.sent`, …

use std::fmt;

/// The most bytes a kind can have: AMQP carries it in a short string.
pub const MAX_KIND_BYTES: usize = 255;

/// The name of an event's kind: never empty, at most [`MAX_KIND_BYTES`] bytes.
///
/// It is kept as the sender wrote it; an unknown one is data, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(String);

impl Kind {
    /// A kind from its name, cut at a character boundary when it is too long.
    /// An empty name is [`Kind::unknown`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        if name.is_empty() {
            return Self::unknown();
        }
        Self(name[..name.floor_char_boundary(MAX_KIND_BYTES)].to_owned())
    }

    /// The kind of a webhook that does not say what it is.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// The kind's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_kind_is_cut_at_a_character() {
        let kind = Kind::new(&"ñ".repeat(200));
        assert_eq!(kind.as_str(), "ñ".repeat(127));
    }

    #[test]
    fn an_empty_kind_is_unknown() {
        assert_eq!(Kind::new(""), Kind::unknown());
    }
}
