//! Reading JSON the tolerant way: what is not as expected counts as absent.

use serde_json::{Number, Value};

use super::mend;

/// Parses a body. Postgres refuses U+0000 in any text, so it is replaced by U+FFFD here;
/// the archive keeps the bytes.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<Value> {
    let body = contract::without_bom(body);
    // What serde_json refuses of JSON is mended, so that it costs one text and not the batch.
    let mut value = serde_json::from_slice(body)
        .or_else(|error| mend::mended(body).map_or(Err(error), |mended| serde_json::from_slice(&mended)))?;
    // The escape is the only way in: a raw NUL is not JSON.
    if body.windows(6).any(|window| window == b"\\u0000") {
        replace_nul(&mut value);
    }
    Ok(value)
}

fn replace_nul(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{FFFD}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(replace_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                let renamed = std::mem::take(fields).into_iter();
                fields.extend(renamed.map(|(name, value)| (name.replace('\0', "\u{FFFD}"), value)));
            }
            fields.values_mut().for_each(replace_nul);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces U+0000 in a text that was parsed elsewhere.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// A field's text; a number is taken for its digits. Empty counts as absent.
pub(crate) fn text(object: &Value, field: &str) -> Option<String> {
    match object.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(digits(number)),
        _ => None,
    }
}

/// A number's digits: `5.69e10` and `1.0` are whole numbers too.
fn digits(number: &Number) -> String {
    /// Beyond 2^53 a float no longer tells one whole number from the next.
    const GREATEST_WHOLE: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < GREATEST_WHOLE => {
            format!("{float:.0}")
        }
        _ => number.to_string(),
    }
}

/// A field that is an object with something in it, or a list with something in it.
pub(super) fn filled<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    })
}

/// The digits of a phone number, however it is written. None when there are none, and none
/// of a text with letters in it: `AR.4401Zq` is a business-scoped id in the wrong place.
pub(super) fn phone_number(object: &Value, field: &str) -> Option<String> {
    let written = text(object, field)?;
    if written.contains(char::is_alphabetic) {
        return None;
    }
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_may_be_a_number_but_not_nothing() {
        let object = json!({"a": "x", "b": 7, "c": "", "d": null, "e": {}, "g": 7.0, "h": 7.5});
        let texts = ["a", "b", "c", "d", "e", "f"].map(|field| text(&object, field));
        assert_eq!(texts, [Some("x".into()), Some("7".into()), None, None, None, None]);
        assert_eq!(["g", "h"].map(|field| text(&object, field)), [Some("7".into()), Some("7.5".into())]);
    }

    #[test]
    fn a_phone_number_is_its_digits() {
        let object = json!({"a": "+1 (555) 123-4567", "b": 56912345678_u64, "c": 5.6912345678e10});
        let numbers = ["a", "b", "c"].map(|field| phone_number(&object, field));
        let chile = || Some("56912345678".to_owned());
        assert_eq!(numbers, [Some("15551234567".into()), chile(), chile()]);
        let object = json!({"a": "anonymous", "b": "AR.4401ZqX7pLm2", "c": "+"});
        assert_eq!(["a", "b", "c"].map(|field| phone_number(&object, field)), [None, None, None]);
    }

    #[test]
    fn nul_is_replaced_in_names_and_values() {
        let value = parse(br#"{"a\u0000":["x\u0000y"],"b":1}"#).ok();
        assert_eq!(value, Some(json!({"a\u{FFFD}": ["x\u{FFFD}y"], "b": 1})));
    }
}
