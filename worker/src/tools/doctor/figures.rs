//! Reading what a process of ours says in Prometheus' text format. Pure.

/// The figures of one page.
pub(super) struct Figures<'a>(&'a str);

impl<'a> Figures<'a> {
    /// Of this page.
    pub(super) fn of(page: &'a str) -> Self {
        Self(page)
    }

    /// The value of a figure without labels.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.with(name, "")
    }

    /// The value of the figure whose one label is this, such as `reason="missing"`.
    pub(super) fn with(&self, name: &str, label: &str) -> Option<f64> {
        self.0.lines().find_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            let labels = key.strip_prefix(name)?.trim_matches(['{', '}']);
            (labels == label).then(|| value.parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name_and_label() {
        let page = "# HELP a x\n# TYPE a counter\na{reason=\"x\"} 1\na{reason=\"y\"} 2\nab 3\na_b 4\n";
        let figures = Figures::of(page);
        assert_eq!(figures.with("a", "reason=\"y\""), Some(2.0));
        assert_eq!(figures.value("ab"), Some(3.0));
        assert_eq!(figures.value("a"), None);
    }
}
