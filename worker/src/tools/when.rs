//! Times as people type them: an instant, a day, or how long ago.

use time::{
    Date, Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// What is understood, for a message.
const EXPECTED: &str = "give a time such as 2026-11-24T17:00:00Z, a day (its begin, in UTC) such as 2026-11-24, \
                        or how long ago: 90s, 30m, 2h, 7d";

/// Reads a time for clap, against the clock.
///
/// # Errors
/// What is expected, when it is none of that.
pub fn when(text: &str) -> Result<OffsetDateTime, String> {
    at(text, OffsetDateTime::now_utc()).ok_or_else(|| EXPECTED.to_owned())
}

fn at(text: &str, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let text = text.trim();
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(instant);
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Some(day.midnight().assume_utc());
    }
    now.checked_sub(length(text)?)
}

/// Reads how long something lasts for clap.
///
/// # Errors
/// What is expected, when it is none of that.
pub fn span(text: &str) -> Result<Duration, String> {
    let span = length(text.trim()).filter(|span| span.is_positive());
    span.ok_or_else(|| "give how long, such as 90s, 30m, 2h or 7d".to_owned())
}

fn length(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::seconds)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-24 17:00:00 UTC);

    #[test]
    fn instants_days_and_ago() {
        for (text, expected) in [
            ("2026-11-24T10:00:00-03:00", datetime!(2026-11-24 13:00:00 UTC)),
            ("2026-11-24", datetime!(2026-11-24 00:00:00 UTC)),
            (" 90s ", datetime!(2026-11-24 16:58:30 UTC)),
            ("30m", datetime!(2026-11-24 16:30:00 UTC)),
            ("2h", datetime!(2026-11-24 15:00:00 UTC)),
            ("7d", datetime!(2026-11-17 17:00:00 UTC)),
        ] {
            assert_eq!(at(text, NOW), Some(expected), "{text}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(span("2h"), Ok(Duration::hours(2)));
        for none in ["", "0s", "-1h", "tomorrow", "2026-11-24"] {
            assert!(span(none).is_err(), "{none}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "d", "-1h", "2", "2 h", "2w", "9223372036854775807d", "99999999999999d", "hoy", "ñ"]
        {
            assert_eq!(at(text, NOW), None, "{text}");
        }
    }
}
