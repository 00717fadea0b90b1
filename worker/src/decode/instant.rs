//! Times, in every form in which Kapso and Meta write them.

use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601};

/// Seconds since 1970 beyond this are milliseconds: the year 5138 is far enough.
const GREATEST_SECONDS: u64 = 100_000_000_000;

/// The time in a field: ISO 8601 with or without an offset (UTC then), or seconds or
/// milliseconds since 1970, as a number or a text. Anything else counts as absent.
pub(crate) fn instant(object: &Value, field: &str) -> Option<OffsetDateTime> {
    match object.get(field)? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(whole)).and_then(since_1970),
        Value::String(text) => {
            let text = text.trim();
            let number = text.parse().ok().or_else(|| text.parse().ok().map(whole));
            number.and_then(since_1970).or_else(|| iso_8601(text))
        }
        _ => None,
    }
}

/// A number without its fraction. One beyond i64 saturates, and is no time then.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn since_1970(number: i64) -> Option<OffsetDateTime> {
    let nanos = if number.unsigned_abs() > GREATEST_SECONDS {
        i128::from(number) * 1_000_000
    } else {
        i128::from(number) * 1_000_000_000
    };
    // Nothing was said on WhatsApp before 1970, and 0 is how some write "never".
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().filter(|at| at.unix_timestamp() > 0)
}

fn iso_8601(text: &str) -> Option<OffsetDateTime> {
    // `2026-02-18 13:31:07` is how databases write it.
    let text = text.replacen(' ', "T", 1);
    let parsed = OffsetDateTime::parse(&text, &Iso8601::DEFAULT)
        .or_else(|_| PrimitiveDateTime::parse(&text, &Iso8601::DEFAULT).map(PrimitiveDateTime::assume_utc));
    // Postgres keeps microseconds; what it would drop must not order anything either.
    // The last hours of 9999 are in a year that has no name, for those who are behind UTC.
    let at = parsed.ok()?.checked_to_offset(time::UtcOffset::UTC)?;
    at.replace_microsecond(at.microsecond()).ok().filter(|at| at.unix_timestamp() > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_form_is_the_same_instant() {
        let at = datetime!(2026-02-18 13:31:07 UTC);
        for form in [
            json!("2026-02-18T13:31:07Z"),
            json!("2026-02-18T10:31:07-03:00"),
            json!("2026-02-18T13:31:07.000000Z"),
            json!("2026-02-18T13:31:07"),
            json!("2026-02-18 13:31:07"),
            json!("1771421467"),
            json!(1_771_421_467),
            json!(1_771_421_467_000_i64),
            json!(1_771_421_467.0),
            json!("1771421467.9"),
            json!(" 1771421467 "),
        ] {
            assert_eq!(instant(&json!({ "t": form }), "t"), Some(at), "{form}");
        }
    }

    #[test]
    fn what_is_no_time_is_absent() {
        for form in [
            json!("soon"),
            json!(""),
            json!(null),
            json!({}),
            json!(0),
            json!(1e300),
            json!("99999999999999999999"),
            json!(i64::MIN),
            json!(-1e300),
            json!("-9223372036854775808"),
            json!("nan"),
            json!("inf"),
            json!("1969-12-31T23:59:59Z"),
            json!("9999-12-31T23:59:59-23:00"),
            json!("2026-02-30T00:00:00Z"),
        ] {
            assert_eq!(instant(&json!({ "t": form }), "t"), None, "{form}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_microsecond() {
        let object = json!({"t": "2026-02-18T13:31:07.402118999Z"});
        assert_eq!(instant(&object, "t"), Some(datetime!(2026-02-18 13:31:07.402118 UTC)));
    }
}
