//! Where the values of a JSON text are, so that it can be cut along them.

use std::ops::Range;

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The value.
    pub(crate) value: Range<usize>,
    /// The value with its key, if it has one.
    pub(crate) member: Range<usize>,
    /// The key with its quotes.
    pub(crate) key: Option<Range<usize>>,
    /// What goes when the value goes: the member, and a comma.
    pub(crate) removal: Range<usize>,
}

/// The values of a text, the whole first. Of what is no JSON, some.
pub(crate) fn nodes(text: &[u8]) -> Vec<Node> {
    let mut reader = Reader { text, at: 0, nodes: Vec::new() };
    reader.space();
    let value = reader.value();
    reader.nodes.push(Node { value: value.clone(), member: value.clone(), key: None, removal: value });
    reader.nodes.rotate_right(1);
    reader.nodes
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Range<usize> {
        let start = self.at;
        match self.next() {
            Some(b'{') => self.list(b'}'),
            Some(b'[') => self.list(b']'),
            Some(b'"') => self.string(),
            _ => {
                while self.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
                    self.at += 1;
                }
            }
        }
        start..self.at
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.next() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
    }

    fn list(&mut self, end: u8) {
        self.at += 1;
        let mut comma = None;
        loop {
            self.space();
            let start = self.at;
            if self.next().is_none_or(|byte| byte == end) {
                break;
            }
            let key = (end == b'}').then(|| {
                self.string();
                start..self.at
            });
            while key.is_some() && self.next().is_some_and(|byte| byte == b':' || byte.is_ascii_whitespace())
            {
                self.at += 1;
            }
            let value = self.value();
            let member = start..self.at;
            self.space();
            let (removal, goes_on) = match (self.next(), comma) {
                (Some(b','), _) => (start..self.at + 1, true),
                (_, Some(comma)) => (comma..member.end, false),
                (_, None) => (member.clone(), false),
            };
            self.nodes.push(Node { value, member, key, removal });
            if !goes_on {
                break;
            }
            comma = Some(self.at);
            self.at += 1;
        }
        self.at = (self.at + 1).min(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_with_its_key_and_its_comma() {
        let text = br#" {"a": [1, "x\"]"], "b" :{"c":null}} "#;
        let cut = |range: &Range<usize>| String::from_utf8_lossy(&text[range.clone()]).into_owned();
        let found = nodes(text);
        let values: Vec<_> = found.iter().map(|node| cut(&node.value)).collect();
        assert_eq!(values[1..], ["1", r#""x\"]""#, r#"[1, "x\"]"]"#, "null", r#"{"c":null}"#]);
        let removals: Vec<_> = found.iter().map(|node| cut(&node.removal)).collect();
        assert_eq!(removals[1..4], ["1,", r#", "x\"]""#, r#""a": [1, "x\"]"],"#]);
        assert_eq!(found.iter().filter_map(|node| node.key.as_ref().map(cut)).count(), 3);
        assert_eq!(cut(&found[0].value), String::from_utf8_lossy(text).trim());
    }
}
