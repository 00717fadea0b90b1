//! The usual ways of writing one and the same JSON.

use std::fmt::{self, Write as _};

use super::json::Json;

/// How a serialiser writes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::door) struct Form {
    /// Python's `json.dumps` puts a space behind each comma and colon.
    spaced: bool,
    escapes: Escapes,
    sorted: bool,
}

/// What is escaped in a text beyond what JSON demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    /// Nothing: `JSON.stringify`, Go with `SetEscapeHTML(false)`, serde.
    Few,
    /// What is special in HTML: Rails' `to_json`, Go.
    /// Source: Rails, `ActiveSupport::JSON::Encoding.escape_html_entities_in_json`.
    Html,
    /// All that is not ASCII: Python's `json.dumps`.
    Ascii,
    /// That, and the slash: PHP's `json_encode`.
    AsciiAndSlash,
}

impl Form {
    /// Every form, the likely ones first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let escapes = [Escapes::Few, Escapes::Html, Escapes::Ascii, Escapes::AsciiAndSlash];
        [false, true].into_iter().flat_map(move |sorted| {
            [false, true].into_iter().flat_map(move |spaced| {
                escapes.into_iter().map(move |escapes| Self { spaced, escapes, sorted })
            })
        })
    }

    /// Writes a value in this form.
    pub(super) fn write(self, json: &Json) -> String {
        let mut text = String::new();
        self.value(json, &mut text);
        text
    }

    fn value(self, json: &Json, out: &mut String) {
        match json {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => out.push_str(&number.to_string()),
            Json::Text(text) => self.text(text, out),
            Json::List(list) => {
                out.push('[');
                for (nth, item) in list.iter().enumerate() {
                    self.comma(nth, out);
                    self.value(item, out);
                }
                out.push(']');
            }
            Json::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.sorted {
                    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                }
                out.push('{');
                for (nth, (key, value)) in entries.into_iter().enumerate() {
                    self.comma(nth, out);
                    self.text(key, out);
                    out.push_str(if self.spaced { ": " } else { ":" });
                    self.value(value, out);
                }
                out.push('}');
            }
        }
    }

    fn comma(self, nth: usize, out: &mut String) {
        if nth > 0 {
            out.push_str(if self.spaced { ", " } else { "," });
        }
    }

    fn text(self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '/' if self.escapes == Escapes::AsciiAndSlash => out.push_str("\\/"),
                c if c.is_control() && c < ' ' || self.escapes.include(c) => escaped(c, out),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

impl Escapes {
    fn include(self, c: char) -> bool {
        match self {
            Self::Few => false,
            Self::Html => matches!(c, '&' | '<' | '>' | '\u{2028}' | '\u{2029}'),
            Self::Ascii | Self::AsciiAndSlash => !c.is_ascii(),
        }
    }
}

/// Writes a character by its UTF-16 units, as JSON escapes them.
fn escaped(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing into a String does not fail.
        write!(out, "\\u{unit:04x}").ok();
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.spaced { "spaced" } else { "compact" })?;
        f.write_str(match self.escapes {
            Escapes::Few => "",
            Escapes::Html => ", & < > escaped",
            Escapes::Ascii => ", ASCII",
            Escapes::AsciiAndSlash => ", ASCII, / escaped",
        })?;
        f.write_str(if self.sorted { ", keys sorted" } else { "" })
    }
}
