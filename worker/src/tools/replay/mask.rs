//! Rows without people's words, names and numbers. What a column holds decides; a column that
//! nobody has thought of is masked.

use contract::shown;
use serde_json::Value;

use crate::store::changes::Row;

/// Columns that hold states, kinds and reasons of our own or of Kapso's.
const OPEN: [&str; 13] = [
    "status",
    "direction",
    "origin",
    "type",
    "state",
    "kind",
    "event",
    "marketing",
    "rule",
    "outcome",
    "item",
    "reason",
    "pause_reason",
];

/// How the names of columns end that hold times, ranks and clocks.
const OPEN_ENDS: [&str; 7] = ["_at", "_rank", "_timed", "_clock", "_until", "attempts", "clock"];

/// Columns that hold ids, which can be people's numbers.
const IDS: [&str; 7] = ["id", "alias", "lane", "reactor", "recipient", "phone_number", "bsuid"];

/// A row, masked.
pub(super) fn row(row: Row) -> Row {
    row.into_iter().map(|(column, cell)| (column.clone(), value(&column, &cell))).collect()
}

/// A value of a column, masked.
pub(super) fn value(column: &str, value: &Value) -> Value {
    let open = OPEN.contains(&column) || OPEN_ENDS.iter().any(|end| column.ends_with(end));
    match value {
        Value::String(_) if open => value.clone(),
        // A hash of the body; Postgres writes bytes so.
        Value::String(text) if column == "webhook_id" => text.trim_start_matches("\\x").into(),
        Value::String(text) if is_id(column) => shown_id(text).into(),
        Value::String(text) => shown::text(text).into(),
        Value::Array(_) | Value::Object(_) => format!("JSON of {} bytes", value.to_string().len()).into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Whether a column only serves to merge the one that it stands beside.
pub(super) fn is_machinery(column: &str) -> bool {
    ["_rank", "_timed", "_clock"].iter().any(|end| column.ends_with(end))
}

fn is_id(column: &str) -> bool {
    IDS.contains(&column) || column.ends_with("_id") || column.ends_with("_alias")
}

/// A lane is named after our number and the contact.
fn shown_id(id: &str) -> String {
    let part = |part: &str| if is_number(part) { shown::number(part) } else { shown::id(part) };
    id.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn is_number(part: &str) -> bool {
    part.len() >= 7 && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_are_not_shown() {
        for (column, cell, expected) in [
            ("body", json!("Hola"), json!("4 characters")),
            ("name", json!("Ana"), json!("3 characters")),
            ("content", json!({ "a": 1 }), json!("JSON of 7 bytes")),
            ("id", json!("56912345678"), json!("…78")),
            ("lane", json!("118800223344556/56912345678"), json!("…56/…78")),
            ("contact_id", json!("56912345678"), json!("…78")),
            (
                "message_id",
                json!("wamid.HBgNNTQ5MTE1NTUwMDQ1NxUCABIYFDNDQ0Q00011A=="),
                json!("wamid.…00011A=="),
            ),
            ("conversation_id", json!("conv-1"), json!("conv-1")),
            ("status", json!("read"), json!("read")),
            ("read_at", json!("2026-11-24T17:00:00+00:00"), json!("2026-11-24T17:00:00+00:00")),
            ("body_rank", json!(2), json!(2)),
            ("something_new", json!("secret"), json!("6 characters")),
        ] {
            assert_eq!(value(column, &cell), expected, "{column}");
        }
    }
}
