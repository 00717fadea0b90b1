//! What a tool says to the person who runs it, or to the program behind the pipe.

use std::{
    fmt::Display,
    io::{self, BufRead as _, ErrorKind, IsTerminal as _, Write as _},
};

use anyhow::Context as _;
use console::Term;
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// Says a line, on standard output.
///
/// # Errors
/// When it can't be written. That nobody reads any more (`| head`) is none: what the tool does
/// is worth doing all the same.
pub fn say(line: impl Display) -> anyhow::Result<()> {
    bytes(format!("{line}\n").as_bytes())
}

/// Says bytes as they are.
///
/// # Errors
/// As [`say`].
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output can't be written")
        }
        _ => Ok(()),
    }
}

/// Says one JSON document.
///
/// # Errors
/// As [`say`].
pub fn json(document: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(document)?)
}

/// How many columns a person sees at once; none where standard output is no terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    let (_, columns) = io::stdout().is_terminal().then(|| Term::stdout().size_checked())??;
    Some(columns.into())
}

/// Asks for a yes, where there is somebody to give it.
///
/// # Errors
/// When the question can't be asked.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("standard input can't be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A text from outside, on one line and without control characters: it can't move the cursor.
#[must_use]
pub fn plain(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A time for a table: to the minute, in UTC.
#[must_use]
pub fn minute(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

/// A time to paste: RFC 3339, in UTC.
#[must_use]
pub fn instant(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

/// A number of things, with its word.
#[must_use]
pub fn count(number: impl TryInto<u64>, one: &str, several: &str) -> String {
    let number: u64 = number.try_into().unwrap_or_default();
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_can_not_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2J\n\u{202e}b \"ñ\" \\"), "a\\u{1b}[2J\\n\\u{202e}b \"ñ\" \\");
    }

    #[test]
    fn numbers_and_words() {
        assert_eq!(count(1_usize, "row", "rows"), "1 row");
        assert_eq!(count(0_u64, "row", "rows"), "0 rows");
        assert_eq!(count(1234_i64, "row", "rows"), "1234 rows");
    }
}
