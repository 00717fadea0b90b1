//! What was measured against what could be, as a chart: `docs/performance.svg`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::figures::Figures;

/// A group of bars: the scenario, its title, and of each bar the figure and what it is called. The last is the product.
type Group = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const GROUPS: [Group; 3] = [
    (
        "door",
        "The door: webhooks made durable in RabbitMQ",
        &[
            ("HTTP alone", "HTTP and signatures, nothing behind"),
            ("publishes alone", "confirmed publishes, nothing before"),
            ("ceiling by CPU", "both on these cores, at the most"),
            ("ingest: durable", "ingest"),
        ],
    ),
    (
        "drain",
        "The worker: webhooks stored from a standing backlog",
        &[
            ("one transaction each", "one transaction for each, by hand"),
            ("deliveries alone", "deliveries, nothing stored"),
            ("statements alone", "the same statements, no broker"),
            ("ceiling by CPU", "both on these cores, at the most"),
            ("worker: stored", "worker"),
        ],
    ),
    (
        "spool",
        "The spool: webhooks made durable on the disk",
        &[
            ("disk alone", "write and sync in groups"),
            ("ceiling by CPU", "that, HTTP and signatures, at the most"),
            ("ingest: accepted", "ingest"),
        ],
    ),
];

/// In pixels.
const WIDTH: f64 = 860.0;
const LABEL: f64 = 290.0;
const ROW: f64 = 22.0;
const TITLE: f64 = 34.0;

/// Draws the chart.
///
/// # Errors
///
/// When it can't be written.
pub fn write(figures: &Figures, checkout: &Path) -> Result<()> {
    let path = checkout.join("docs/performance.svg");
    std::fs::write(&path, draw(figures)).with_context(|| format!("can't write {}", path.display()))
}

fn draw(figures: &Figures) -> String {
    let (mut body, mut y) = (String::new(), 0.0);
    for (scenario, title, bars) in GROUPS {
        let bars: Vec<_> = bars
            .iter()
            .map(|(figure, label)| (figures.median(scenario, figure), *label))
            .filter(|(rate, _)| rate.is_finite())
            .collect();
        let most = bars.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
        if most <= 0.0 {
            continue;
        }
        y += TITLE;
        let mut add = |line: String| {
            body.push_str(&line);
            body.push('\n');
        };
        add(format!(r#"<text x="0" y="{:.0}" class="title">{title}, a second</text>"#, y - 10.0));
        for (nth, (rate, label)) in bars.iter().enumerate() {
            let class = if nth + 1 == bars.len() { "ours" } else { "raw" };
            let (length, base) = (rate / most * (WIDTH - LABEL - 80.0), y + 14.0);
            add(format!(r#"<text x="{:.0}" y="{base:.0}" class="label">{label}</text>"#, LABEL - 8.0));
            add(format!(r#"<rect x="{LABEL}" y="{y:.0}" width="{length:.0}" height="18" class="{class}"/>"#));
            add(format!(r#"<text x="{:.0}" y="{base:.0}">{rate:.0}</text>"#, LABEL + length + 6.0));
            y += ROW;
        }
    }
    let mut svg = String::new();
    // Writing to memory does not fail.
    let _ = write!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0}" font-family="sans-serif" font-size="13">
<style>text {{ fill: #444 }} .title {{ font-weight: bold }} .label {{ text-anchor: end }} .raw {{ fill: #b8c4ce }} .ours {{ fill: #2a7f62 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ccc }} }}</style>
{body}</svg>
"#
    );
    svg
}
