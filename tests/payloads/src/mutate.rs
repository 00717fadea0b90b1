//! Mutants of examples.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::{
    examples::Example,
    nodes::{Node, nodes},
    strange::{KINDS, VALUES},
};

/// A request that might have come.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The kind that the door would have found.
    pub kind: String,
    /// The headers, by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Examples, and where they can be cut.
pub struct Corpus {
    /// Those that are mutated come first.
    examples: Vec<(Example, Vec<Node>)>,
    mutated: usize,
}

/// What is put in a place.
type Edit = (Range<usize>, Vec<u8>);

impl Corpus {
    /// Mutants are of the examples that are `chosen`; the others lend them values.
    #[must_use]
    pub fn new(examples: Vec<Example>, chosen: impl Fn(&Example) -> bool) -> Self {
        let (mut first, others): (Vec<_>, Vec<_>) = examples.into_iter().partition(chosen);
        let mutated = first.len();
        first.extend(others);
        let cut = |example: Example| {
            let nodes = nodes(&example.body);
            (example, nodes)
        };
        Self { examples: first.into_iter().map(cut).collect(), mutated }
    }

    /// The mutant of a seed.
    #[must_use]
    pub fn mutant(&self, seed: u64) -> Mutant {
        let mut random = StdRng::seed_from_u64(seed);
        let (example, nodes) = &self.examples[random.random_range(0..self.mutated)];
        let edits = (0..random.random_range(1..=5)).filter_map(|_| self.edit(&mut random, example, nodes));
        let mut body = edited(&example.body, edits.collect());
        if random.random_ratio(1, 16) {
            body = [b"[".as_slice(), &body, b",", &example.body, b"]"].concat();
        }
        if random.random_ratio(1, 8) {
            damage(&mut random, &mut body);
        }
        let named = example.header("x-webhook-event").unwrap_or("unknown");
        let kind = if random.random_ratio(1, 8) { KINDS.choose(&mut random) } else { None };
        let mut headers = example.headers.clone();
        headers.retain(|_| random.random_ratio(15, 16));
        Mutant { kind: kind.copied().unwrap_or(named).to_owned(), headers, body }
    }

    fn edit(&self, random: &mut StdRng, example: &Example, nodes: &[Node]) -> Option<Edit> {
        let node = nodes.choose(random)?;
        let text = |range: &Range<usize>| example.body[range.clone()].to_vec();
        let value = text(&node.value);
        let put = |put: Vec<u8>| Some((node.value.clone(), put));
        match random.random_range(0..12) {
            0..3 => put(VALUES.choose(random)?.as_bytes().to_vec()),
            // From this one, or from any other.
            3 => put(text(&nodes.choose(random)?.value)),
            4 => {
                let (other, places) = self.examples.choose(random)?;
                put(other.body[places.choose(random)?.value.clone()].to_vec())
            }
            5 => Some((node.removal.clone(), Vec::new())),
            // Doubled: the same key with another value, or one more item.
            6 => {
                let other = VALUES.choose(random)?.as_bytes();
                let first = if random.random() { &value } else { other };
                let key = text(&(node.member.start..node.value.start));
                Some((node.member.clone(), [&key, first, b",", &key, &value].concat()))
            }
            // Retyped: a text of it, or what is in the text.
            7 if value.starts_with(b"\"") => put(value[1..value.len() - 1].to_vec()),
            7 => put([b"\"".as_slice(), &value, b"\""].concat()),
            8 => put(nested(random, &value)),
            9 => put(long(random)),
            // Another name: of this one's, or of any other's.
            _ => {
                let (other, places) = if random.random() {
                    (example, nodes)
                } else {
                    self.examples.choose(random).map(|(other, places)| (other, places.as_slice()))?
                };
                let name = places.choose(random)?.key.clone()?;
                Some((node.key.clone()?, other.body[name].to_vec()))
            }
        }
    }
}

/// A value within others, sometimes deep.
fn nested(random: &mut StdRng, value: &[u8]) -> Vec<u8> {
    let around: [(&[u8], &[u8]); 5] = [
        (b"[", b"]"),
        (b"{\"data\":", b"}"),
        (b"{\"event\":\"whatsapp.message.received\",\"data\":", b"}"),
        (b"{\"type\":\"whatsapp.message.received\",\"batch\":true,\"data\":[", b"]}"),
        (b"{\"message\":", b"}"),
    ];
    let (open, close) = around[random.random_range(0..around.len())];
    let times = if random.random_ratio(1, 16) { random.random_range(50..300) } else { 1 };
    [open.repeat(times), value.to_vec(), close.repeat(times)].concat()
}

/// A text longer than an index of Postgres holds.
fn long(random: &mut StdRng) -> Vec<u8> {
    let unit: &[&[u8]] = &[b"7", b"x", "ñ".as_bytes(), b"a.", b"\\ud83d"];
    let unit = unit[random.random_range(0..unit.len())];
    [b"\"", unit.repeat(random.random_range(100..700)).as_slice(), b"\""].concat()
}

/// The text with its edits; of those that overlap, one.
fn edited(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut whole = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, put) in edits {
        if range.start >= at {
            whole.extend_from_slice(&text[at..range.start]);
            whole.extend_from_slice(&put);
            at = range.end;
        }
    }
    whole.extend_from_slice(&text[at..]);
    whole
}

/// Damages bytes: JSON no more, mostly.
fn damage(random: &mut StdRng, body: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=4) {
        if body.is_empty() {
            return;
        }
        let at = random.random_range(0..body.len());
        match random.random_range(0..4) {
            0 => body.truncate(at),
            1 => body[at] ^= 1 << random.random_range(0..8),
            2 => body.insert(at, random.random()),
            _ => {
                let end = (at + random.random_range(1..20)).min(body.len());
                body.drain(at..end);
            }
        }
    }
}
