//! JSON that serde_json refuses, mended: half of a surrogate pair, a number too great for a
//! float, nesting beyond its limit, bytes in a text that are no UTF-8. One of them in one item
//! must not cost the other ninety-nine of its batch.

/// serde_json stops at 128; an item of a batch is some levels down already.
const MAX_DEPTH: usize = 100;

/// The escape that stands for half of a pair, as U+0000 is replaced.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// The body with what can be mended replaced; none when there is nothing of it. What is no
/// JSON for other reasons stays so.
pub(super) fn mended(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut depth = 0_usize;
    while let Some(&byte) = rest.first() {
        let length = match byte {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        let (token, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // What is too deep is read over, and its outermost level stands empty.
        let shown = depth < MAX_DEPTH || (depth == MAX_DEPTH && matches!(byte, b'[' | b'{'));
        rest = next;
        match byte {
            b'"' if shown => mend_string(token, &mut mended),
            b'-' | b'0'..=b'9' if shown && is_too_great(token) => {
                mended.push(b'"');
                mended.extend_from_slice(token);
                mended.push(b'"');
            }
            _ if shown => mended.extend_from_slice(token),
            _ => {}
        }
    }
    (mended != body).then_some(mended)
}

/// How long the text is that begins here, with both quotes.
fn string_length(rest: &[u8]) -> usize {
    let mut bytes = rest.iter().enumerate().skip(1);
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b'"' => return place + 1,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    rest.len()
}

fn number_length(rest: &[u8]) -> usize {
    rest.iter().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count()
}

fn is_too_great(token: &[u8]) -> bool {
    std::str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_infinite)
}

/// A text, with each half of a pair that stands alone replaced, and what is no UTF-8.
fn mend_string(token: &[u8], mended: &mut Vec<u8>) {
    let token = String::from_utf8_lossy(token);
    let mut rest = token.as_bytes();
    while !rest.is_empty() {
        let (length, kept) = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => (12, true),
            (Some(_), _) => (6, false),
            // A backslash takes the byte after it along: `\\ud800` is no escape.
            (None, _) if rest.starts_with(b"\\") => (2, true),
            (None, _) => (1, true),
        };
        let (head, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        mended.extend_from_slice(if kept { head } else { REPLACEMENT });
        rest = next;
    }
}

enum Half {
    High,
    Low,
}

/// The half of a pair whose escape begins here.
fn surrogate(rest: &[u8]) -> Option<Half> {
    let digits = std::str::from_utf8(rest.strip_prefix(b"\\u")?.get(..4)?).ok()?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Option<String> {
        mended(body.as_bytes()).and_then(|mended| String::from_utf8(mended).ok())
    }

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_kept() {
        assert_eq!(text(r#"["\ud800", "x\uDC00y"]"#).as_deref(), Some(r#"["\ufffd", "x\ufffdy"]"#));
        assert_eq!(text(r#"["\ud83d\ud83d\ude00"]"#).as_deref(), Some(r#"["\ufffd\ud83d\ude00"]"#));
        for whole in [r#"["\ud83d\ude00"]"#, r#"["\\ud800"]"#, r#"["\"\\"]"#, "[1.5, -2e3, 1e308]"] {
            assert_eq!(text(whole), None, "{whole}");
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        let text = |body: &[u8]| mended(body).and_then(|mended| String::from_utf8(mended).ok());
        // An emoji that was cut off, and a text in Latin-1.
        assert_eq!(
            text(b"[\"\xf0\x9f\x98\", \"\xc2\xbfqu\xe9?\"]").as_deref(),
            Some("[\"\u{FFFD}\", \"¿qu\u{FFFD}?\"]")
        );
        assert_eq!(text("[\"¿qué? 😀\"]".as_bytes()), None);
        // Outside of a text it is no JSON.
        assert_eq!(text(b"[\xff]"), None);
    }

    #[test]
    fn a_number_too_great_for_a_float_becomes_its_text() {
        assert_eq!(text(r#"{"a":1e999,"b":[-1e400]}"#).as_deref(), Some(r#"{"a":"1e999","b":["-1e400"]}"#));
        assert_eq!(text(r#"{"a":"1e999"}"#), None);
    }

    #[test]
    fn what_is_nested_too_deep_is_emptied() {
        let nested =
            |levels: usize, inside: &str| format!("{}{inside}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(text(&nested(99, "1")), None);
        assert_eq!(text(&nested(50_000, "1")), Some(nested(100, "")));
        assert_eq!(
            text(&format!("[{},2]", nested(500, "{\"a\":1}"))),
            Some(format!("[{},2]", nested(99, "")))
        );
    }

    #[test]
    fn what_is_no_json_is_left() {
        for body in ["", "\"", "\"\\", "-", "[\"a", "\\u", "]]]"] {
            assert_eq!(text(body), None, "{body}");
        }
    }
}
