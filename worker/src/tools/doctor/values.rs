//! What can be wrong with a value that was copied from somewhere. Pure; it never shows the value.

/// Secrets that stand in guides in place of a secret.
const PLACEHOLDERS: [&str; 5] =
    ["tu-secreto-compartido", "tu-webhook-secret", "tu-token-de-api", "changeme", "your-secret"];

/// What is odd about a secret, for a person.
pub(super) fn oddity(value: &str) -> Option<&'static str> {
    let quoted = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if value.trim() != value {
        Some("begins or ends with white space")
    } else if ['"', '\'', '`', '“', '”'].into_iter().any(quoted)
        || (value.starts_with('“') && value.ends_with('”'))
    {
        Some("stands in quotes that are part of it")
    } else if value.contains(char::is_control) {
        Some("holds a line break or another control character")
    } else if PLACEHOLDERS.contains(&value) {
        Some("is the example of a guide")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copying_leaves_behind_is_seen() {
        for value in
            [" s3cret", "s3cret\n", "\"s3cret\"", "'s3cret'", "“s3cret”", "s3\tcret", "tu-secreto-compartido"]
        {
            assert!(oddity(value).is_some(), "{value:?}");
        }
        for value in ["s3cret", "a'b", "\"", "it is a secret", "007e1"] {
            assert_eq!(oddity(value), None, "{value:?}");
        }
    }
}
