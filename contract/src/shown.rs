//! What comes from outside, in a form that can stand in a log line: short, on one line,
//! without control characters, and without a person's number or words.

use std::{borrow::Cow, ops::RangeInclusive};

/// The longest id that is shown, in characters.
const MAX_CHARS: usize = 64;

/// How WhatsApp's message ids begin; the contact's number follows, in base64.
const WAMID: &str = "wamid.";

/// So many digits has a telephone number with its country. E.164 would allow 15; Meta's own ids have as many and more.
const DIGITS: RangeInclusive<usize> = 7..=14;

/// How much of the end of a wamid is shown: it tells messages apart and holds no number.
const TAIL_CHARS: usize = 8;

/// An id as it is logged.
#[must_use]
pub fn id(id: &str) -> String {
    if let Some(code) = id.strip_prefix(WAMID) {
        let tail = code.char_indices().nth_back(TAIL_CHARS - 1).map_or(code, |(at, _)| &code[at..]);
        return format!("{WAMID}…{}", word(tail));
    }
    if is_number(id) {
        return "…".to_owned();
    }
    match id.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{}…", word(&id[..cut])),
        None => word(id).into_owned(),
    }
}

/// A word of the sender's as it is logged: a kind, say.
#[must_use]
pub fn word(word: &str) -> Cow<'_, str> {
    // What Kapso sends looks like this, and costs nothing.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'\'');
    if word.bytes().all(is_plain) { word.into() } else { word.escape_debug().to_string().into() }
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

/// What another program says, as it is logged: without what could be a telephone number.
#[must_use]
pub fn remark(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, code)) = rest.split_once(WAMID) {
        let end =
            code.find(|c: char| !(c.is_ascii_alphanumeric() || "+/=_-".contains(c))).unwrap_or(code.len());
        let (code, after) = code.split_at(end);
        shown.push_str(&without_numbers(before));
        shown.push_str(&id(&format!("{WAMID}{code}")));
        rest = after;
    }
    shown + &without_numbers(rest)
}

fn without_numbers(text: &str) -> String {
    // In parentheses there may be a code of its own.
    let is_part =
        |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-.\u{2010}\u{2011}\u{2013}".contains(c);
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        let number = run.trim_matches(|c: char| !c.is_ascii_digit() && c != '+');
        let hidden = if DIGITS.contains(&digits(number)) { "…" } else { number };
        shown.push_str(&run.replacen(number, hidden, 1));
        let (words, after) = after.split_at(after.find(is_part).unwrap_or(after.len()));
        shown.push_str(words);
        rest = after;
    }
    shown
}

/// A text as it is logged: how long it is.
#[must_use]
pub fn text(text: &str) -> String {
    format!("{} characters", text.chars().count())
}

/// Whether it could be somebody's telephone number (E.164: up to 15 digits).
fn is_number(id: &str) -> bool {
    id.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c)) && (7..=15).contains(&digits(id))
}

fn digits(text: &str) -> usize {
    text.chars().filter(char::is_ascii_digit).count()
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
    fn what_others_say_is_shown_without_numbers() {
        for (said, shown) in [
            ("(#131026) +56 9 1234 5678 is no user.", "(#131026) … is no user."),
            ("to: 56912345678, code 131047. Again in 24 hours", "to: …, code 131047. Again in 24 hours"),
            ("+56\u{a0}9\u{a0}1234\u{a0}5678", "…"),
            (
                "Object with ID '118800223344556' does not exist",
                "Object with ID '118800223344556' does not exist",
            ),
            ("no wamid.HBgNNTQ5MTE1NTUwMDQ1NxUCABIYFDNDQ0Q00011A== here", "no wamid.…00011A== here"),
            ("", ""),
        ] {
            assert_eq!(remark(said), shown);
        }
    }

    #[test]
    fn a_log_line_stays_one_line_of_bounded_length() {
        assert_eq!(id("a\nb\x1b[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
        assert_eq!(id(&"ñ".repeat(100)), format!("{}…", "ñ".repeat(64)));
    }
}
