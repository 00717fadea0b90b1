//! All that is in a database's tables, and how two of them differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool};

/// A table, by what its rows are called and what of them is compared.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    key: &'static [&'static str],
    columns: &'static str,
}

const fn whole(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, columns: "*" }
}

/// How much of the outbox is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effects {
    /// What is owed for which message.
    Owed,
    /// And how it is addressed, until when, and whether it is to be performed.
    Whole,
}

const OWED: &str = "kind, message_id, body, rule, attempts, lease, sent_message_id";
const ADDRESSED: &str =
    "state, outcome, lane, recipient, phone_number_id, conversation_id, kapso_message_id, expires_at";

/// Every table. What is not compared, and why:
///
/// - `webhooks`: only which bodies there are, and whether they are done with. `received_at`, `headers` and the
///   times belong to the delivery that came first; ids are those of the bodies.
/// - `dead_letters`: only which reasons there are. One belongs to a webhook and a place in it, and a batch is another
///   webhook than its items by themselves; `id` and the times count and time what we did, not what was said.
/// - `effects`: `id` counts; `created_at`, `next_at` and `settled_at` say when we did it. How an effect is addressed,
///   and so whether it can be, is what the event said that came first, and dialects say more or less of it: compared
///   only where all events are in one dialect ([`Effects`]).
/// - `effect_attempts`: compared whole; nothing performs effects here, so it stays empty.
///
/// Nothing is left out of the tables that the projection fills.
pub(crate) const TABLES: [Table; 13] = [
    whole("contacts", &["id"]),
    whole("contact_aliases", &["alias"]),
    whole("conversations", &["id"]),
    whole("messages", &["id"]),
    whole("message_aliases", &["alias"]),
    whole("message_statuses", &["message_id", "status", "occurred_at"]),
    whole("reactions", &["message_id", "reactor"]),
    whole("subjects", &["kind", "id"]),
    whole("subject_events", &["kind", "id", "event", "occurred_at"]),
    whole("lanes", &["id"]),
    Table { name: "effects", key: &["message_id", "kind"], columns: OWED },
    whole("effect_attempts", &["effect_id", "attempt"]),
    Table { name: "dead_letters", key: &["reason"], columns: "DISTINCT reason" },
];

/// What is found in the tables and pauses lanes, whenever it happened: all of it, for every lane.
const TAKEOVERS: &str = "SELECT 'takeovers', row_to_json(r)::text
    FROM (SELECT lanes.id AS lane, found.* FROM lanes, LATERAL takeovers(lanes.id, '-infinity') found) r";

/// The rows of every table in [`TABLES`], as JSON. JSON columns keep their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State(BTreeSet<(String, String)>);

impl State {
    pub(crate) async fn of(pool: &PgPool, effects: Effects) -> Result<Self> {
        let selects: Vec<String> = TABLES
            .iter()
            .map(|Table { name, columns, .. }| {
                let more = if *columns == OWED && effects == Effects::Whole { ADDRESSED } else { "" };
                let columns = [*columns, more].join(if more.is_empty() { "" } else { ", " });
                format!("SELECT '{name}', row_to_json(r)::text FROM (SELECT {columns} FROM {name}) r")
            })
            .chain([TAKEOVERS.to_owned()])
            .collect();
        let rows: Vec<(String, String)> =
            sqlx::query_as(AssertSqlSafe(selects.join(" UNION ALL "))).fetch_all(pool).await?;
        Ok(Self(rows.into_iter().collect()))
    }

    /// Whether two are the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self == other
    }

    /// Takes a table for what it is in another: nobody filled it.
    pub(crate) fn assume(&mut self, other: &Self, table: &str) {
        self.0.extend(other.0.iter().filter(|(name, _)| name == table).cloned());
    }

    /// How many rows each table has.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (table, _) in &self.0 {
            *counts.entry(table.as_str()).or_default() += 1;
        }
        counts
    }

    /// The rows of some table, for a look.
    pub(crate) fn rows(&self, table: &str) -> Vec<Map<String, Value>> {
        let of_table = self.0.iter().filter(|(name, _)| name == table);
        of_table.filter_map(|(_, row)| serde_json::from_str(row).ok()).collect()
    }

    /// What is different in `found`, for a person: rows by their keys, of these only the columns that differ.
    pub(crate) fn difference(&self, found: &Self) -> String {
        let mut told = String::new();
        let tables = TABLES.iter().map(|table| (table.name, table.key));
        for (name, key) in tables.chain([("takeovers", &["lane", "at", "by", "evidence"][..])]) {
            let (expected, found) = (self.by_key(name, key), found.by_key(name, key));
            let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            for key in keys {
                let line = match (expected.get(key), found.get(key)) {
                    (Some(expected), Some(found)) => columns(expected, found),
                    (Some(row), None) => format!(" is missing: {}", Value::Object(row.clone())),
                    (None, Some(row)) => format!(" should not be there: {}", Value::Object(row.clone())),
                    (None, None) => String::new(),
                };
                if !line.is_empty() {
                    let _ = writeln!(told, "{name} {key}{line}");
                }
            }
        }
        told
    }

    fn by_key(&self, table: &str, key: &[&str]) -> BTreeMap<String, Map<String, Value>> {
        let named = |row: Map<String, Value>| {
            let key: Vec<String> = key.iter().map(|column| shown(row.get(*column))).collect();
            (key.join(" "), row)
        };
        self.rows(table).into_iter().map(named).collect()
    }
}

fn columns(expected: &Map<String, Value>, found: &Map<String, Value>) -> String {
    let mut told = String::new();
    for (column, value) in expected {
        let other = found.get(column);
        if other != Some(value) {
            let _ = write!(told, "\n    {column}: {} expected, {} found", shown(Some(value)), shown(other));
        }
    }
    told
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    }
}
