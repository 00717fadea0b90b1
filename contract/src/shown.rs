//! What comes from outside, in a form that can stand in a log line: short, on one line,
//! without control characters, and without a person's number or words.

/// The longest id that is shown, in characters.
const MAX_CHARS: usize = 64;

/// How WhatsApp's message ids begin; the contact's number follows, in base64.
const WAMID: &str = "wamid.";

/// How much of the end of a wamid is shown: it tells messages apart and holds no number.
const TAIL_CHARS: usize = 8;

/// An id as it is logged.
#[must_use]
pub fn id(id: &str) -> String {
    if let Some(code) = id.strip_prefix(WAMID) {
        let tail = code.chars().count().saturating_sub(TAIL_CHARS);
        return format!("{WAMID}…{}", code.chars().skip(tail).collect::<String>().escape_debug());
    }
    if is_number(id) {
        return "…".to_owned();
    }
    let shown: String = id.chars().take(MAX_CHARS).collect();
    let cut = if shown.len() < id.len() { "…" } else { "" };
    format!("{}{cut}", shown.escape_debug())
}

/// A telephone number as it is logged: enough to tell two people in one log apart.
#[must_use]
pub fn number(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    match digits.len().checked_sub(2) {
        // Of a short one nothing is shown: two digits would be most of it.
        Some(hidden @ 5..) => format!("…{}", digits.iter().skip(hidden).collect::<String>()),
        _ => "…".to_owned(),
    }
}

/// A text as it is logged: how long it is.
#[must_use]
pub fn text(text: &str) -> String {
    format!("{} characters", text.chars().count())
}

/// Whether it could be somebody's telephone number (E.164: up to 15 digits).
fn is_number(id: &str) -> bool {
    let digits = id.chars().filter(char::is_ascii_digit).count();
    (7..=15).contains(&digits) && id.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_as_they_are() {
        assert_eq!(id("conv-abc123"), "conv-abc123");
        assert_eq!(id("5e003dde-1a02-4002-900e-0c4d00033232"), "5e003dde-1a02-4002-900e-0c4d00033232");
    }

    #[test]
    fn a_wamid_is_shown_by_its_end() {
        assert_eq!(id("wamid.HBgNNTQ5MTE1NTUwMDQ1NxUCABIYFDNDQ0Q00011A=="), "wamid.…00011A==");
        assert_eq!(id("wamid.ab"), "wamid.…ab");
    }

    #[test]
    fn numbers_are_not_shown() {
        for number in ["+56912345678", "56912345678", "+49 151 5550 0100"] {
            assert_eq!(id(number), "…");
        }
        assert_eq!(id("4711"), "4711");
    }

    #[test]
    fn people_and_words_are_masked() {
        assert_eq!(number("+56 9 1234 5678"), "…78");
        assert_eq!(number("4711"), "…");
        assert_eq!(text("¡Ayuda!"), "7 characters");
    }

    #[test]
    fn a_log_line_stays_one_line_of_bounded_length() {
        assert_eq!(id("a\nb\x1b[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
        assert_eq!(id(&"ñ".repeat(100)), format!("{}…", "ñ".repeat(64)));
    }
}
