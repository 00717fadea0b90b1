//! What a check finds, and how it is told.

use std::{collections::BTreeMap, fmt::Write as _};

use console::{Style, style};
use serde::Serialize;

use super::super::screen::count;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// As it should be.
    Fine,
    /// It works, and is worth a look.
    Remark,
    /// It has to be mended.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, in a word or two. The words are a promise to scripts.
    pub(crate) about: &'static str,
    pub(crate) mark: Mark,
    /// What was seen.
    pub(crate) says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// What the guide calls this trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guide: Option<&'static str>,
}

impl Finding {
    pub(crate) fn fine(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, mark: Mark::Fine, says: says.into(), remedy: None, guide: None }
    }

    pub(crate) fn remark(about: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { mark: Mark::Remark, remedy: Some(remedy.into()), ..Self::fine(about, says) }
    }

    pub(crate) fn wrong(about: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { mark: Mark::Wrong, remedy: Some(remedy.into()), ..Self::fine(about, says) }
    }

    /// The guide has a name for this.
    pub(crate) fn named(mut self, guide: &'static str) -> Self {
        self.guide = Some(guide);
        self
    }
}

/// The findings of all checks, in order.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, Vec<Finding>)>);

impl Report {
    pub(crate) fn add(&mut self, check: &'static str, findings: Vec<Finding>) {
        self.0.push((check, findings));
    }

    pub(crate) fn how_many(&self, mark: Mark) -> usize {
        self.0.iter().flat_map(|(_, findings)| findings).filter(|finding| finding.mark == mark).count()
    }

    /// As a person reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let findings = || self.0.iter().flat_map(|(_, findings)| findings);
        let width = findings().map(|finding| finding.about.len()).max().unwrap_or_default();
        for (check, findings) in &self.0 {
            // Writing into a String does not fail.
            writeln!(text, "{}", style(check).bold()).ok();
            for finding in findings {
                finding.write(width, &mut text);
            }
            text.push('\n');
        }
        text += &self.summary();
        text
    }

    fn summary(&self) -> String {
        let remarks = match self.how_many(Mark::Remark) {
            0 => String::new(),
            remarks => format!(", with {}", count(remarks, "remark", "remarks")),
        };
        match self.how_many(Mark::Wrong) {
            0 => format!("All is well{remarks}."),
            1 => format!("1 thing is wrong{remarks}."),
            wrong => format!("{wrong} things are wrong{remarks}."),
        }
    }

    /// As a program reads it.
    pub(crate) fn json(&self) -> serde_json::Value {
        let findings = self.0.iter().flat_map(|(check, findings)| {
            findings.iter().map(move |finding| {
                let mut told = BTreeMap::from([("check", serde_json::json!(check))]);
                if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(finding) {
                    for name in ["about", "mark", "says", "remedy", "guide"] {
                        told.extend(fields.get(name).map(|value| (name, value.clone())));
                    }
                }
                told
            })
        });
        serde_json::json!({
            "well": self.how_many(Mark::Wrong) == 0,
            "wrong": self.how_many(Mark::Wrong),
            "remarks": self.how_many(Mark::Remark),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    fn write(&self, width: usize, out: &mut String) {
        let (sign, colour) = match self.mark {
            Mark::Fine => ("✓", Style::new().green()),
            Mark::Remark => ("!", Style::new().yellow()),
            Mark::Wrong => ("✗", Style::new().red()),
        };
        writeln!(out, "  {} {:width$}  {}", colour.apply_to(sign), self.about, self.says).ok();
        let indent = " ".repeat(width + 6);
        if let Some(remedy) = &self.remedy {
            writeln!(out, "{indent}→ {remedy}").ok();
        }
        if let Some(guide) = self.guide {
            writeln!(out, "{indent}  guía: {guide}").ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_with_remedies_and_the_guides_names() {
        let mut report = Report::default();
        report.add("one", vec![Finding::fine("a", "is fine"), Finding::remark("longer", "may be", "look")]);
        assert!(report.text().ends_with("All is well, with 1 remark."), "{}", report.text());
        report.add("two", vec![Finding::wrong("b", "is not", "mend it").named("No se reciben webhooks")]);
        insta::assert_snapshot!(console::strip_ansi_codes(&report.text()), @r"
        one
          ✓ a       is fine
          ! longer  may be
                    → look

        two
          ✗ b       is not
                    → mend it
                      guía: No se reciben webhooks

        1 thing is wrong, with 1 remark.
        ");
        insta::assert_snapshot!(report.json().to_string(), @r#"{"findings":[{"about":"a","check":"one","mark":"fine","says":"is fine"},{"about":"longer","check":"one","mark":"remark","remedy":"look","says":"may be"},{"about":"b","check":"two","guide":"No se reciben webhooks","mark":"wrong","remedy":"mend it","says":"is not"}],"remarks":1,"well":false,"wrong":1}"#);
    }
}
