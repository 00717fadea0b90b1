//! Rules: which text is answered with what. Pure.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A rule: a message that contains one of the keywords is answered with the reply.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the outbox shows for it.
    pub name: String,
    /// Matched anywhere in the text, without regard to case or accents.
    pub keywords: Vec<String>,
    /// The text that is sent.
    pub reply: String,
}

/// Rules in order: the first that matches answers.
#[derive(Clone, Debug)]
pub struct Rules(Vec<(Rule, Vec<String>)>);

impl Rules {
    /// Rules, ready to match.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let folded = |rule: Rule| {
            let keywords = rule.keywords.iter().map(|keyword| folded(keyword)).filter(|k| !k.is_empty());
            let keywords = keywords.collect();
            (rule, keywords)
        };
        Self(rules.into_iter().map(folded).collect())
    }

    /// The rule that answers this text, if one does.
    #[must_use]
    pub fn answer(&self, text: &str) -> Option<&Rule> {
        let text = folded(text);
        let matches = |keywords: &[String]| keywords.iter().any(|keyword| text.contains(keyword));
        self.0.iter().find(|(_, keywords)| matches(keywords)).map(|(rule, _)| rule)
    }
}

impl Default for Rules {
    /// The guide's rule.
    fn default() -> Self {
        Self::new(vec![Rule {
            name: "ayuda".to_owned(),
            keywords: vec!["ayuda".to_owned()],
            reply: "¿En qué puedo ayudarte?".to_owned(),
        }])
    }
}

/// A text without case and accents: decomposed, marks dropped, lower case.
fn folded(text: &str) -> String {
    text.nfkd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_first_rule_that_matches_answers() {
        let rule = |name: &str, keyword: &str| Rule {
            name: name.to_owned(),
            keywords: vec![keyword.to_owned()],
            reply: String::new(),
        };
        let rules = Rules::new(vec![rule("empty", ""), rule("first", "sí"), rule("second", "si")]);
        assert_eq!(rules.answer("SI").map(|rule| rule.name.as_str()), Some("first"));
    }
}
