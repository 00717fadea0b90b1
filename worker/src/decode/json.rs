//! Reading JSON the tolerant way: what is not as expected counts as absent.

use serde_json::Value;

/// Parses a body. Postgres refuses U+0000 in any text, so it is replaced by U+FFFD here;
/// the archive keeps the bytes.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<Value> {
    let mut value = serde_json::from_slice(body)?;
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

/// A field's text; a number is taken for its digits. Empty counts as absent.
pub(super) fn text(object: &Value, field: &str) -> Option<String> {
    match object.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
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

/// The digits of a phone number, however it is written. None when there are none.
pub(super) fn phone_number(object: &Value, field: &str) -> Option<String> {
    let digits: String = text(object, field)?.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_may_be_a_number_but_not_nothing() {
        let object = json!({"a": "x", "b": 7, "c": "", "d": null, "e": {}});
        let texts = ["a", "b", "c", "d", "e", "f"].map(|field| text(&object, field));
        assert_eq!(texts, [Some("x".into()), Some("7".into()), None, None, None, None]);
    }

    #[test]
    fn a_phone_number_is_its_digits() {
        let object = json!({"a": "+1 (555) 123-4567", "b": 56912345678_u64, "c": "anonymous"});
        let numbers = ["a", "b", "c"].map(|field| phone_number(&object, field));
        assert_eq!(numbers, [Some("15551234567".into()), Some("56912345678".into()), None]);
    }

    #[test]
    fn nul_is_replaced_in_names_and_values() {
        let value = parse(br#"{"a\u0000":["x\u0000y"],"b":1}"#).ok();
        assert_eq!(value, Some(json!({"a\u{FFFD}": ["x\u{FFFD}y"], "b": 1})));
    }
}
