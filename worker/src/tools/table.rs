//! Aligned columns.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a heading; each can have a note beneath it, which may be long.
pub struct Table<const N: usize> {
    heading: [&'static str; N],
    rows: Vec<([String; N], String)>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    #[must_use]
    pub fn new(heading: [&'static str; N]) -> Self {
        Self { heading, rows: Vec::new() }
    }

    /// Adds a row, and what stands beneath it; an empty note is none.
    pub fn row(&mut self, cells: [String; N], note: String) {
        self.rows.push((cells, note));
    }

    /// Its lines, cut at `columns` where there is a limit.
    #[must_use]
    pub fn lines(&self, columns: Option<usize>) -> Vec<String> {
        let cells = |cells: [&str; N]| {
            let padded = cells
                .iter()
                .zip(self.widths())
                .map(|(cell, width)| pad_str(cell, width, Alignment::Left, None).into_owned());
            padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        let mut lines = vec![cells(self.heading)];
        for (row, note) in &self.rows {
            lines.push(cells(row.each_ref().map(String::as_str)));
            lines.extend((!note.is_empty()).then(|| format!("{GAP}{GAP}{note}")));
        }
        match columns {
            Some(columns) => lines.iter().map(|line| truncate_str(line, columns, "…").into_owned()).collect(),
            None => lines,
        }
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = self.heading.map(measure_text_width);
        for (row, _) in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = measure_text_width(cell).max(*width);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_are_cut_for_a_terminal_only() {
        let mut table = Table::new(["ID", "WHAT"]);
        table.row(["1".to_owned(), "año".to_owned()], String::new());
        table.row(["1000".to_owned(), "b".to_owned()], "a reason that is long".to_owned());
        assert_eq!(table.lines(None), ["ID    WHAT", "1     año", "1000  b", "    a reason that is long"]);
        assert_eq!(table.lines(Some(12)).last().map(String::as_str), Some("    a reaso…"));
    }
}
