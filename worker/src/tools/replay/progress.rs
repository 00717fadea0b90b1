//! How far a long command is: a bar where a person looks on, else a line now and then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(5);

const STYLE: &str = "{wide_bar} {human_pos} of {human_len} webhooks, {eta} left";

/// How far it is, on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    total: u64,
    done: u64,
    lines: bool,
    told: Instant,
}

impl Progress {
    pub(super) fn of(total: i64) -> Self {
        let lines = !io::stderr().is_terminal();
        let bar = if lines { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let total = u64::try_from(total).unwrap_or_default();
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        Self { bar, total, done: 0, lines, told: Instant::now() }
    }

    /// So many more are done.
    pub(super) fn advance(&mut self, webhooks: usize) {
        self.done += webhooks as u64;
        self.bar.set_position(self.done);
        if self.lines && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            // Nobody is worse off if it can't be written.
            let _ = writeln!(io::stderr(), "{} of {} webhooks", self.done, self.total);
        }
    }

    /// How many are done.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
