//! What was measured: samples by scenario and name, and how they are kept between runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One figure, with a sample for each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// Where it was measured.
    pub scenario: String,
    /// What it is.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// One for each round.
    pub samples: Vec<f64>,
}

impl Figure {
    /// The middle of the samples.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// The least and the greatest sample.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        self.samples.iter().fold((f64::INFINITY, 0.0), |(least, most), it| (it.min(least), it.max(most)))
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}

/// On what and when a scenario was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The scenario.
    pub scenario: String,
    /// The machine.
    pub machine: String,
    /// When it began, as RFC 3339 writes it.
    pub at: String,
    /// The machine's load averages at that time: what else it was doing.
    pub load_before: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// All figures of one or more runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The scenarios, in the order in which they were first measured.
    pub runs: Vec<Run>,
    /// What came out.
    pub figures: Vec<Figure>,
}

impl Figures {
    /// Those of earlier runs; none, where there are none.
    ///
    /// # Errors
    ///
    /// When the file is not ours.
    pub fn read(path: &Path) -> Result<Self> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(Self::default()) };
        serde_json::from_str(&text).with_context(|| format!("{} is none of ours: remove it", path.display()))
    }

    /// Keeps them.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("can't write {}", path.display()))
    }

    /// Forgets what was measured in a scenario, which begins anew.
    pub fn begin(&mut self, run: Run) {
        self.figures.retain(|figure| figure.scenario != run.scenario);
        match self.runs.iter_mut().find(|old| old.scenario == run.scenario) {
            Some(old) => *old = run,
            None => self.runs.push(run),
        }
    }

    /// Notes how long a scenario took.
    pub fn finished(&mut self, scenario: &str, took: Duration) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.scenario == scenario) {
            run.seconds = took.as_secs_f64();
        }
    }

    /// Adds a sample.
    pub fn add(&mut self, scenario: &str, name: &str, unit: &str, sample: f64) {
        let known = self.figures.iter_mut().find(|it| it.scenario == scenario && it.name == name);
        match known {
            Some(figure) => figure.samples.push(sample),
            None => self.figures.push(Figure {
                scenario: scenario.to_owned(),
                name: name.to_owned(),
                unit: unit.to_owned(),
                samples: vec![sample],
            }),
        }
    }

    /// A figure's median; not a number, when it was not measured.
    #[must_use]
    pub fn median(&self, scenario: &str, name: &str) -> f64 {
        let figure = self.figures.iter().find(|it| it.scenario == scenario && it.name == name);
        figure.map_or(f64::NAN, Figure::median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_no_mean() {
        assert!((median(&[3.0, 1.0, 1000.0]) - 3.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 1000.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_scenario_that_is_measured_again_begins_anew() {
        let run = |at: &str| Run {
            scenario: "door".to_owned(),
            machine: String::new(),
            at: at.to_owned(),
            load_before: String::new(),
            seconds: 0.0,
        };
        let mut figures = Figures::default();
        figures.begin(run("1"));
        figures.add("door", "rate", "/s", 1.0);
        figures.add("drain", "rate", "/s", 7.0);
        figures.begin(run("2"));
        figures.add("door", "rate", "/s", 3.0);
        assert!((figures.median("door", "rate") - 3.0).abs() < f64::EPSILON);
        assert!((figures.median("drain", "rate") - 7.0).abs() < f64::EPSILON);
        assert_eq!(figures.runs.len(), 1);
    }
}
