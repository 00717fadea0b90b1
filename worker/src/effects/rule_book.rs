//! The rule book: what is answered, how late and how often, as `buzon.toml` has it. Pure.

use serde::Deserialize;
use time::Duration;
use toml::Spanned;

use super::rules::{self, Matching, Rule, Rules};

/// The longest text that WhatsApp takes, in characters.
/// Source: Meta, "Text messages" (`text.body`).
const LONGEST_REPLY: usize = 4096;

/// Everything that is decided about replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleBook {
    /// Messages older than this are not answered.
    pub max_age: Duration,
    /// How many replies a lane takes.
    pub guard: LoopGuard,
    /// For how long nobody is answered after a person has taken over; zero: people and replies
    /// do not mind each other.
    pub takeover_pause: Duration,
    /// Which texts are answered.
    pub rules: Rules,
}

/// How long a takeover lasts unless configured. Each message of the person begins it anew, so it is
/// the silence after which they are taken to be done: an hour is long for a talk, and short enough
/// for the same customer's next question.
const TAKEOVER_PAUSE: Duration = Duration::hours(1);

/// The longest takeover: beyond it, nobody remembers why nothing is answered.
const LONGEST_PAUSE: Duration = Duration::days(30);

/// How many replies a lane takes. More is no conversation but two machines that answer each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopGuard {
    /// In a minute.
    pub per_minute: u32,
    /// In an hour.
    pub per_hour: u32,
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self { per_minute: 5, per_hour: 20 }
    }
}

impl Default for RuleBook {
    fn default() -> Self {
        Self {
            max_age: Duration::minutes(15),
            guard: LoopGuard::default(),
            takeover_pause: TAKEOVER_PAUSE,
            rules: Rules::default(),
        }
    }
}

/// What is wrong with a rule book, and what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BookError {
    /// The line, counted from 1.
    pub line: usize,
    /// The problem and its remedy.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reply: Replies,
    #[serde(default)]
    takeover: Takeovers,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<FileRule>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replies {
    max_age: Option<Spanned<String>>,
    at_most: Option<Spanned<LoopGuard>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Takeovers {
    pause: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    name: Spanned<String>,
    keywords: Spanned<Vec<Spanned<String>>>,
    #[serde(default, rename = "match")]
    matching: FileMatching,
    reply: Spanned<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileMatching {
    #[default]
    Anywhere,
    Word,
}

impl RuleBook {
    /// Reads a book from the text of its file. A book without rules answers nothing.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BookError> {
        let wrong = |at: usize, problem: String| {
            let before = text.get(..at).unwrap_or(text);
            BookError { line: before.matches('\n').count() + 1, problem }
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(at, error.message().trim().replace('\n', "; "))
        })?;
        let mut book = Self { rules: Rules::new(Vec::new()), ..Self::default() };
        if let Some(age) = &file.reply.max_age {
            book.max_age = duration(age.get_ref()).filter(|age| !age.is_zero()).ok_or_else(|| {
                let remedy = "reply.max_age is no duration: give one such as \"90s\", \"15m\" or \"2h\"";
                wrong(age.span().start, remedy.to_owned())
            })?;
        }
        if let Some(pause) = &file.takeover.pause {
            let wrong = |remedy: &str| wrong(pause.span().start, remedy.to_owned());
            book.takeover_pause = duration(pause.get_ref()).ok_or_else(|| {
                wrong("takeover.pause is no duration: give one such as \"30m\" or \"2h\", or \"0s\" for none")
            })?;
            if book.takeover_pause > LONGEST_PAUSE {
                return Err(wrong("takeover.pause is longer than 30 days: give less, or take the rules out"));
            }
        }
        if let Some(guard) = &file.reply.at_most {
            book.guard = *guard.get_ref();
            if book.guard.per_minute == 0 || book.guard.per_hour == 0 {
                let remedy = "reply.at_most of 0 would answer nobody: give at least 1, or take the rules out";
                return Err(wrong(guard.span().start, remedy.to_owned()));
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        for rule in &file.rules {
            let rule = rule.get_ref();
            let (place, problem) = match rule.problem(&rules) {
                None => {
                    rules.push(rule.rule());
                    continue;
                }
                Some(found) => found,
            };
            return Err(wrong(place, format!("the rule \"{}\" {problem}", rule.name.get_ref())));
        }
        book.rules = Rules::new(rules);
        Ok(book)
    }
}

impl FileRule {
    /// What is wrong with it beside `earlier` ones, and where.
    fn problem(&self, earlier: &[Rule]) -> Option<(usize, String)> {
        let (name, keywords, reply) = (self.name.get_ref(), self.keywords.get_ref(), self.reply.get_ref());
        let found = |place: usize, problem: &str| Some((place, problem.to_owned()));
        if name.trim().is_empty() {
            return found(self.name.span().start, "has an empty name: the outbox shows it beside each reply");
        }
        if earlier.iter().any(|rule| rule.name == *name) {
            return found(self.name.span().start, "is there twice: give each a name of its own");
        }
        if keywords.is_empty() {
            return found(
                self.keywords.span().start,
                "has no keywords: give some, such as [\"ayuda\", \"help\"]",
            );
        }
        if let Some(empty) = keywords.iter().find(|keyword| rules::folded(keyword.get_ref()).is_empty()) {
            return found(
                empty.span().start,
                "has an empty keyword, which every text would hold: take it out",
            );
        }
        if reply.trim().is_empty() {
            return found(self.reply.span().start, "has an empty reply: say what is to be sent");
        }
        if reply.chars().count() > LONGEST_REPLY {
            let problem =
                format!("has a reply of more than {LONGEST_REPLY} characters: WhatsApp takes no more");
            return Some((self.reply.span().start, problem));
        }
        None
    }

    fn rule(&self) -> Rule {
        Rule {
            name: self.name.get_ref().clone(),
            keywords: self.keywords.get_ref().iter().map(|keyword| keyword.get_ref().clone()).collect(),
            matching: match self.matching {
                FileMatching::Anywhere => Matching::Anywhere,
                FileMatching::Word => Matching::Word,
            },
            reply: self.reply.get_ref().clone(),
        }
    }
}

/// A duration in seconds, minutes or hours. Nothing needs no unit.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit = text.chars().next_back()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    match unit {
        's' => Some(Duration::seconds(number.into())),
        'm' => Some(Duration::minutes(number.into())),
        'h' => Some(Duration::hours(number.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// The file that is shipped.
    const SHIPPED: &str = include_str!("../../../buzon.toml");

    #[test]
    fn what_is_shipped_is_what_is_built_in() {
        assert_eq!(RuleBook::parse(SHIPPED).unwrap(), RuleBook::default());
    }

    #[test]
    fn an_empty_file_answers_nothing() {
        let book = RuleBook::parse("").unwrap();
        assert_eq!((book.rules.count(), book.max_age), (0, Duration::minutes(15)));
    }

    #[test]
    fn a_pause_of_nothing_switches_takeovers_off() {
        for none in ["0", "0s", "0h"] {
            let book = RuleBook::parse(&format!("[takeover]\npause = \"{none}\"")).unwrap();
            assert!(book.takeover_pause.is_zero());
        }
        assert_eq!(RuleBook::parse("").unwrap().takeover_pause, Duration::hours(1));
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
            [reply]
            max_age = "2h"
            at_most = { per_minute = 2 }
            [takeover]
            pause = "45m"
            [[rule]]
            name = "precios"
            keywords = ["precio", "cuánto  cuesta"]
            match = "word"
            reply = "Desde $10."
        "#;
        let book = RuleBook::parse(text).unwrap();
        assert_eq!(book.max_age, Duration::hours(2));
        assert_eq!(book.guard, LoopGuard { per_minute: 2, per_hour: 20 });
        assert_eq!(book.takeover_pause, Duration::minutes(45));
        assert!(book.rules.answer("¿Cuanto cuesta?").is_some());
        assert!(book.rules.answer("precios").is_none());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_a_remedy() {
        let rule = |lines: &str| format!("# a comment\n[[rule]]\n{lines}\n");
        for (text, line, told) in [
            ("\n[reply]\nmax_age = \"soon\"".to_owned(), 3, "reply.max_age is no duration"),
            ("[reply]\nmax_age = 15".to_owned(), 2, "expected a string"),
            ("[reply]\nmax_age = \"0s\"".to_owned(), 2, "reply.max_age is no duration"),
            ("[takeover]\n\npause = \"a while\"".to_owned(), 3, "takeover.pause is no duration"),
            ("[takeover]\npause = \"721h\"".to_owned(), 2, "longer than 30 days"),
            ("[takeover]\npauses = \"1h\"".to_owned(), 2, "unknown field `pauses`"),
            ("[reply]\n\nat_most = { per_minute = 0 }".to_owned(), 3, "would answer nobody"),
            ("[reply]\nat_most = { per_day = 3 }".to_owned(), 2, "unknown field `per_day`"),
            ("\n\n[replies]".to_owned(), 3, "unknown field `replies`"),
            ("a = [\n1,\n".to_owned(), 2, "unclosed array"),
            (rule("name = \"a\"\nkeyword = [\"a\"]\nreply = \"b\""), 4, "unknown field `keyword`"),
            (rule("name = \"a\"\nreply = \"b\""), 2, "missing field `keywords`"),
            (rule("name = \"a\"\nkeywords = []\nreply = \"b\""), 4, "\"a\" has no keywords"),
            (rule("name = \"a\"\nkeywords = [\n \"x\",\n \" \\u0301\"]\nreply = \"b\""), 6, "empty keyword"),
            (rule("name = \"a\"\nkeywords = [\"x\"]\nreply = \" \""), 5, "empty reply"),
            (rule("name = \" \"\nkeywords = [\"x\"]\nreply = \"b\""), 3, "empty name"),
            (
                rule("name = \"a\"\nkeywords = [\"x\"]\nmatch = \"regex\"\nreply = \"b\""),
                5,
                "unknown variant `regex`",
            ),
            (rule("name = \"a\"\nkeywords = [\"x\"]\nreply = \"b\"").repeat(2), 8, "is there twice"),
        ] {
            let error = RuleBook::parse(&text).unwrap_err();
            assert!(error.line == line && error.problem.contains(told), "{text}\n{error}");
        }
        let long = format!("name = \"a\"\nkeywords = [\"x\"]\nreply = \"{}\"", "ñ".repeat(4097));
        assert!(RuleBook::parse(&rule(&long)).unwrap_err().problem.contains("4096"));
        assert!(RuleBook::parse(&rule(&long.replacen('ñ', "", 1))).is_ok());
    }
}
