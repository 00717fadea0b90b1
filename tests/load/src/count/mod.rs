//! How many instructions the hot pure parts of the product take: a number that does not move with what else the machine
//! does, so that a slower part is seen the day it becomes slower. valgrind counts; it knows no SHA instructions, so that
//! signatures and names cost more here than they do.

mod cases;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use harness::scratch;

pub use cases::{Case, WEBHOOKS};

/// Where the numbers stand that the present ones are held against.
const ACCEPTED: &str = "tests/load/instructions.json";

/// So much more than what was accepted is a fault. Hash maps are seeded anew in each process: the same code differs by
/// less than that.
const TOLERANCE: f64 = 0.05;

/// A case is counted with so few and so many turns; the difference is free of starting and preparing.
const FEW: u64 = 2;
const MANY: u64 = 12;

/// Instructions for each webhook, by case.
type Counts = BTreeMap<String, u64>;

/// Counts every case. With `accept`, the counts are written down; else they are held against what was.
///
/// # Errors
///
/// When valgrind is not there, a case fails, or one takes more than was accepted.
pub fn run(accept: bool) -> Result<Vec<String>> {
    let path = scratch::checkout()?.join(ACCEPTED);
    let mut counts = Counts::new();
    for case in Case::ALL {
        let taken = counted(case, MANY)?.checked_sub(counted(case, FEW)?).context("fewer turns take less")?;
        counts.insert(name(case), taken / ((MANY - FEW) * WEBHOOKS));
    }
    if accept {
        std::fs::write(&path, serde_json::to_string_pretty(&counts)? + "\n")?;
        return Ok(counts.iter().map(|(case, count)| format!("{case}: {count}, accepted")).collect());
    }
    compare(&counts, &accepted(&path)?)
}

fn accepted(path: &PathBuf) -> Result<Counts> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn compare(counts: &Counts, accepted: &Counts) -> Result<Vec<String>> {
    let (mut told, mut slower) = (Vec::new(), Vec::new());
    for (case, count) in counts {
        let before = accepted.get(case).with_context(|| format!("{case} was never accepted"))?;
        let ratio = *count as f64 / *before as f64;
        told.push(format!("{case}: {count} instructions for each webhook, {ratio:.2} of what was accepted"));
        if ratio > 1.0 + TOLERANCE {
            slower.push(format!("{case} ({before} before, {count} now)"));
        }
    }
    ensure!(slower.is_empty(), "slower than accepted: {}", slower.join(", "));
    Ok(told)
}

/// How many instructions a process takes that plays a case so often.
fn counted(case: Case, times: u64) -> Result<u64> {
    let played = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["count", "--play", &name(case), "--times", &times.to_string()])
        .output()
        .context("valgrind is needed (apt-get install valgrind)")?;
    let told = String::from_utf8_lossy(&played.stderr);
    ensure!(played.status.success(), "{case:?} failed: {told}");
    // callgrind ends with "Collected : 123456".
    let count = told.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.with_context(|| format!("valgrind told no count: {told}"))
}

fn name(case: Case) -> String {
    format!("{case:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(fold: u64) -> Counts {
        Counts::from([("decode".to_owned(), 1_000), ("fold".to_owned(), fold)])
    }

    #[test]
    fn one_that_became_slower_is_named() -> Result<()> {
        assert_eq!(compare(&counts(1_049), &counts(1_000))?.len(), 2);
        let error = compare(&counts(1_051), &counts(1_000)).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("slower than accepted: fold (1000 before, 1051 now)"));
        assert!(compare(&counts(1_000), &Counts::new()).is_err());
        Ok(())
    }

    #[test]
    fn every_case_does_what_it_is_there_for() -> Result<()> {
        Case::ALL.into_iter().try_for_each(|case| case.play(1))
    }
}
