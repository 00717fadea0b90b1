//! How results are told: a table for the terminal, a file for machines, and the tables of `docs/PERFORMANCE.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::figures::{Figure, Figures};

/// What stands around the part of the document that is written here.
const BEGIN: &str = "<!-- bench: written by make bench -->";
const END: &str = "<!-- bench: end -->";

/// Where results are kept from run to run.
#[must_use]
pub fn kept_in(checkout: &Path) -> PathBuf {
    checkout.join("docs/performance.json")
}

/// What this machine is.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": an unknown CPU");
    let memory = read("/proc/meminfo");
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores ({}), {:.0} GiB, Linux {}",
        model.trim_start_matches(['\t', ' ', ':']),
        kib.unwrap_or_default() / 1024.0 / 1024.0,
        kernel.trim()
    )
}

/// The figures of a scenario, as a Markdown table.
#[must_use]
pub fn table(figures: &Figures, scenario: &str) -> String {
    let mut table = format!("\n| {scenario} | median | least – most | |\n|---|---:|---:|---|\n");
    for figure in figures.figures.iter().filter(|figure| figure.scenario == scenario) {
        let (least, most) = figure.range();
        let range = match figure.samples.len() {
            1 => String::new(),
            _ => format!("{} – {}", number(least), number(most)),
        };
        let Figure { name, unit, .. } = figure;
        // Writing to memory does not fail.
        let _ = writeln!(table, "| {name} | {} | {range} | {unit} |", number(figure.median()));
    }
    table
}

/// Three digits are more than there is to know.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "?".to_owned(),
        size if size >= 1000.0 => {
            let thousands = format!("{:.0}", value);
            let (head, tail) = thousands.split_at(thousands.len() - 3);
            format!("{head},{tail}")
        }
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Writes the results into the document.
///
/// # Errors
///
/// When it is not there, or has no place for them.
pub fn write(figures: &Figures, checkout: &Path) -> Result<()> {
    let path = checkout.join("docs/PERFORMANCE.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    let (before, rest) = text.split_once(BEGIN).context("docs/PERFORMANCE.md has no place for results")?;
    let (_, after) = rest.split_once(END).context("docs/PERFORMANCE.md has no end of the results")?;
    let mut results = String::new();
    for run in &figures.runs {
        let heading = format!(
            "### {}\n\n{}, in {:.0} s, on {}; load average before it: {}.\n",
            run.scenario, run.at, run.seconds, run.machine, run.load_before
        );
        results.push_str(&heading);
        results.push_str(&table(figures, &run.scenario));
        results.push('\n');
    }
    std::fs::write(&path, format!("{before}{BEGIN}\n\n{results}\n{END}{after}"))?;
    Ok(())
}
