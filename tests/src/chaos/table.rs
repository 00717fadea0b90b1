//! The table of a run: a row for each kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::ledger::{CALM, Ledger, Window};
use super::verdict::{Fate, Verdict};

/// Of all windows of a kind.
#[derive(Default)]
struct Row {
    times: u64,
    sent: u64,
    accepted: u64,
    refused: u64,
    unanswered: u64,
    fate: Fate,
    longest: Duration,
    recoveries: Vec<Duration>,
}

impl Row {
    fn add(&mut self, window: &Window, fate: Fate) {
        self.times += 1;
        self.sent += window.sent;
        self.accepted += window.accepted;
        self.refused += window.refused.values().sum::<u64>();
        self.unanswered += window.unanswered + window.silent;
        self.longest = self.longest.max(window.longest);
        self.recoveries.extend(window.recovery);
        self.fate.lost += fate.lost;
        self.fate.doubled += fate.doubled;
        self.fate.owed += fate.owed;
        self.fate.once += fate.once;
        self.fate.unknown += fate.unknown;
        self.fate.waiting += fate.waiting;
        self.fate.missing += fate.missing;
        self.fate.twice += fate.twice;
    }

    fn write(mut self, label: &str, table: &mut String) {
        self.recoveries.sort_unstable();
        let seconds =
            |it: Option<&Duration>| it.map_or("–".to_owned(), |it| format!("{:.1}", it.as_secs_f64()));
        let fate = self.fate;
        // Writing to a string does not fail.
        writeln!(
            table,
            "| {label} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {} | {} |",
            self.times,
            self.sent,
            self.accepted,
            self.refused,
            self.unanswered,
            fate.lost,
            fate.doubled,
            fate.owed,
            fate.once,
            fate.unknown,
            fate.waiting,
            fate.missing,
            fate.twice,
            self.longest.as_secs_f64(),
            seconds(self.recoveries.get(self.recoveries.len().saturating_sub(1) / 2)),
            seconds(self.recoveries.last()),
        )
        .ok();
    }
}

/// Renders it, as Markdown. Without a verdict, what only that tells is 0.
pub(super) fn render(ledger: &Ledger, verdict: Option<&Verdict>) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut total = Row::default();
    for (at, window) in ledger.book().windows.iter().enumerate() {
        let fate = verdict.and_then(|verdict| verdict.fates.get(&at)).copied().unwrap_or_default();
        rows.entry(window.label()).or_default().add(window, fate);
        total.add(window, fate);
    }
    let mut table = String::from(
        "| fault | times | sent | 200 | other answer | no answer | lost | doubled \
         | effects owed | once | unknown | waiting | missing | twice | longest answer, s | recovery, s: median | max |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    if let Some(calm) = rows.remove(CALM) {
        total.times -= calm.times;
        calm.write(CALM, &mut table);
    }
    for (label, row) in rows {
        row.write(&label, &mut table);
    }
    total.write("**all faults**", &mut table);
    table
}
