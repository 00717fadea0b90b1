//! Rules: which text is answered with what. Pure.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A rule: a message in which one of the keywords is found is answered with the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the outbox shows for it.
    pub name: String,
    /// Looked for without regard to case, accents or the width of spaces.
    pub keywords: Vec<String>,
    /// Where in a text they count.
    pub matching: Matching,
    /// The text that is sent.
    pub reply: String,
}

/// Where in a text a keyword counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Anywhere, as in the guide: `ayuda` is in `ayudame` too.
    #[default]
    Anywhere,
    /// As a whole word, or a whole row of words.
    Word,
}

/// Rules in order: the first that matches answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<(Rule, Vec<String>)>);

impl Rules {
    /// Rules, ready to match. A keyword without a letter in it is never found.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let folded = |rule: Rule| {
            let keywords = rule.keywords.iter().map(|keyword| folded(keyword)).filter(|k| !k.is_empty());
            let keywords = keywords.collect();
            (rule, keywords)
        };
        Self(rules.into_iter().map(folded).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The rule that answers this text, if one does.
    #[must_use]
    pub fn answer(&self, text: &str) -> Option<&Rule> {
        let text = folded(text);
        let found = |rule: &Rule, keyword: &str| match rule.matching {
            Matching::Anywhere => text.contains(keyword),
            Matching::Word => has_word(&text, keyword),
        };
        let matches = |(rule, keywords): &&(Rule, Vec<String>)| keywords.iter().any(|it| found(rule, it));
        self.0.iter().find(matches).map(|(rule, _)| rule)
    }
}

impl Default for Rules {
    /// The guide's rule.
    fn default() -> Self {
        Self::new(vec![Rule {
            name: "ayuda".to_owned(),
            keywords: vec!["ayuda".to_owned()],
            matching: Matching::Anywhere,
            reply: "¿En qué puedo ayudarte?".to_owned(),
        }])
    }
}

/// A text without case and accents, its spaces made one: decomposed, marks dropped, lower case.
pub(super) fn folded(text: &str) -> String {
    let letters = text.nfkd().filter(|character| !is_combining_mark(*character));
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a keyword stands in a text with no letter or digit running on at either end. An end
/// that is itself no letter or digit (`¿precio?`) needs no such neighbour.
fn has_word(text: &str, keyword: &str) -> bool {
    let runs_on = |inside: Option<char>, outside: Option<char>| {
        inside.is_some_and(char::is_alphanumeric) && outside.is_some_and(char::is_alphanumeric)
    };
    let (first, last) = (keyword.chars().next(), keyword.chars().next_back());
    // From every place, not only past the last find: finds may overlap.
    text.char_indices().any(|(at, _)| {
        let (before, here) = text.split_at(at);
        here.strip_prefix(keyword).is_some_and(|after| {
            !runs_on(first, before.chars().next_back()) && !runs_on(last, after.chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, keyword: &str, matching: Matching) -> Rule {
        let keywords = vec![keyword.to_owned()];
        Rule { name: name.to_owned(), keywords, matching, reply: String::new() }
    }

    #[test]
    fn case_and_accents_do_not_count() {
        for text in ["ayuda", "Necesito AYUDA con mi boleta", "¡Áyúdà!", "a\u{301}yuda", "ＡＹＵＤＡ"]
        {
            assert!(Rules::default().answer(text).is_some(), "{text}");
        }
        for text in ["", "hola", "ayud a", "🙏"] {
            assert!(Rules::default().answer(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_whole_word_ends_where_no_letter_runs_on() {
        let matches =
            |keyword, text| Rules::new(vec![rule("r", keyword, Matching::Word)]).answer(text).is_some();
        for text in ["sí", "SI", "¡Sí!", "bueno,si", "casi si", "si si", "(si)", "🙏si🙏"] {
            assert!(matches("si", text), "{text}");
        }
        for text in ["casi", "siempre", "sí2", "asiento", "", "s i"] {
            assert!(!matches("si", text), "{text}");
        }
        assert!(matches("hablar  con alguien", "quiero hablar con\n alguien, ¡ya!"));
        assert!(!matches("hablar con alguien", "hablar con alguienes"));
        assert!(matches("¿precio?", "dime¿PRECIO?ya"), "an end that is no letter has no neighbour to run on");
        assert!(matches("a a", "xa a a"), "finds overlap");
        assert!(matches("👍", "ok👍ok"));
    }

    #[test]
    fn the_first_rule_that_matches_answers() {
        let anywhere = |name, keyword| rule(name, keyword, Matching::Anywhere);
        let rules =
            Rules::new(vec![anywhere("empty", ""), anywhere("first", "sí"), anywhere("second", "si")]);
        assert_eq!(rules.answer("SI").map(|rule| rule.name.as_str()), Some("first"));
    }
}
