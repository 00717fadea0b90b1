//! What a dry run shows: how many rows of each table would change, and some of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::super::screen::{plain, say};
use crate::{
    store::changes::{Change, Changes, Row},
    tools::replay::mask,
};

/// How many rows of a table are new, change, or are gone: merged into others, or told by nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    new: usize,
    changed: usize,
    gone: usize,
}

/// What is to be shown.
pub(super) struct Preview {
    counts: BTreeMap<&'static str, Count>,
    rows: Vec<Change>,
    limit: usize,
    show_text: bool,
}

/// In JSON.
#[derive(Serialize)]
pub(super) struct Told {
    tables: BTreeMap<&'static str, Count>,
    rows: Vec<Change>,
}

impl Preview {
    pub(super) fn new(limit: usize, show_text: bool) -> Self {
        Self { counts: BTreeMap::new(), rows: Vec::new(), limit, show_text }
    }

    pub(super) fn add(&mut self, changes: Changes) {
        for change in changes.0 {
            let count = self.counts.entry(change.table).or_default();
            match (&change.before, &change.after) {
                (None, _) => count.new += 1,
                (Some(_), Some(_)) => count.changed += 1,
                (Some(_), None) => count.gone += 1,
            }
            if self.rows.len() < self.limit {
                self.rows.push(change);
            }
        }
    }

    pub(super) fn told(&self) -> Told {
        let mut rows = self.rows.clone();
        if !self.show_text {
            let masked = |row: Option<Row>| row.map(mask::row);
            for change in &mut rows {
                change.before = masked(change.before.take());
                change.after = masked(change.after.take());
            }
        }
        Told { tables: self.counts.clone(), rows }
    }

    pub(super) fn say(&self) -> anyhow::Result<()> {
        if self.counts.is_empty() {
            return say("No row would change.");
        }
        for (table, Count { new, changed, gone }) in &self.counts {
            let counts = [(*new, "new"), (*changed, "changed"), (*gone, "gone")];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
            say(format!("{table}: {}", counts.join(", ")))?;
        }
        for change in &self.rows {
            self.change(change)?;
        }
        let all: usize = self.counts.values().map(|it| it.new + it.changed + it.gone).sum();
        let more = all - self.rows.len();
        if more > 0 {
            say(format!("… and {more} more: give --rows to see more of them"))?;
        }
        Ok(())
    }

    fn change(&self, change: &Change) -> anyhow::Result<()> {
        let nothing = Row::new();
        let what = match (&change.before, &change.after) {
            (None, _) => "new",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "gone",
        };
        let key: Vec<String> = change.key().map(|(column, value)| self.value(column, Some(value))).collect();
        say(format!("\n{} {} ({what})", change.table, key.join(" ")))?;
        let before = change.before.as_ref().unwrap_or(&nothing);
        let Some(after) = &change.after else { return Ok(()) };
        for (column, value) in after {
            let was = before.get(column).unwrap_or(&Value::Null);
            if was == value || change.key().any(|(key, _)| key == column) {
                continue;
            }
            let value = self.value(column, Some(value));
            if change.before.is_none() {
                // What stands beside a column to merge it by says nothing where nothing was.
                if !mask::is_machinery(column) {
                    say(format!("    {column}: {value}"))?;
                }
            } else {
                say(format!("    {column}: {} → {value}", self.value(column, Some(was))))?;
            }
        }
        Ok(())
    }

    fn value(&self, column: &str, value: Option<&Value>) -> String {
        let value = value.unwrap_or(&Value::Null);
        let shown = if self.show_text { value.clone() } else { mask::value(column, value) };
        match shown {
            Value::Null => "nothing".to_owned(),
            Value::String(text) => plain(&text),
            other => plain(&other.to_string()),
        }
    }
}
