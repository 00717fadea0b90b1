//! Which names mean the same thing, and which of them is its id. Pure.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
};

/// Orders names by how good an id they make: the lesser is the better.
pub(super) type Better = fn(&str, &str) -> Ordering;

/// A person's best id is the phone number, then the BSUID, then Kapso's.
pub(super) fn better_contact(a: &str, b: &str) -> Ordering {
    let class = |id: &str| match id {
        _ if id.bytes().all(|byte| byte.is_ascii_digit()) => 0,
        _ if !id.starts_with("kapso:") => 1,
        _ => 2,
    };
    class(a).cmp(&class(b)).then_with(|| a.cmp(b))
}

/// A message's best id is WhatsApp's.
pub(super) fn better_message(a: &str, b: &str) -> Ordering {
    is_kapso_message(a).cmp(&is_kapso_message(b)).then_with(|| a.cmp(b))
}

/// Whether a message's name is another than WhatsApp's.
pub(super) fn is_kapso_message(name: &str) -> bool {
    !name.starts_with("wamid.")
}

/// Joins sets of names that share one, and gives each name the best of its set.
#[derive(Default)]
pub(super) struct Union {
    index: HashMap<String, usize>,
    parent: Vec<usize>,
}

impl Union {
    /// Says that two names mean the same thing.
    pub(super) fn join(&mut self, a: &str, b: &str) {
        let (a, b) = (self.add(a), self.add(b));
        let (a, b) = (self.root(a), self.root(b));
        if let Some(parent) = self.parent.get_mut(a) {
            *parent = b;
        }
    }

    /// Every name with the id that it means.
    pub(super) fn ids(mut self, better: Better) -> BTreeMap<String, String> {
        let names: Vec<String> = self.index.keys().cloned().collect();
        let roots: Vec<(usize, String)> = names
            .into_iter()
            .map(|name| {
                let place = self.add(&name);
                (self.root(place), name)
            })
            .collect();
        let mut best: HashMap<usize, &str> = HashMap::new();
        for (root, name) in &roots {
            let kept = best.entry(*root).or_insert(name);
            if better(name, kept).is_lt() {
                *kept = name;
            }
        }
        roots
            .iter()
            .map(|(root, name)| (name.clone(), best.get(root).copied().unwrap_or(name).to_owned()))
            .collect()
    }

    fn add(&mut self, name: &str) -> usize {
        if let Some(place) = self.index.get(name) {
            return *place;
        }
        let place = self.parent.len();
        self.parent.push(place);
        self.index.insert(name.to_owned(), place);
        place
    }

    fn root(&mut self, mut place: usize) -> usize {
        while let Some(&parent) = self.parent.get(place)
            && parent != place
        {
            // Halving the path keeps long chains short.
            let grandparent = self.parent.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parent.get_mut(place) {
                *slot = grandparent;
            }
            place = grandparent;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_facts_makes_one_contact_with_its_best_name() {
        let mut union = Union::default();
        union.join("kapso:1", "AR.9");
        union.join("kapso:2", "569");
        union.join("AR.9", "kapso:2");
        union.join("kapso:8", "kapso:8");
        let ids = union.ids(better_contact);
        for name in ["kapso:1", "kapso:2", "AR.9", "569"] {
            assert_eq!(ids.get(name).map(String::as_str), Some("569"), "{name}");
        }
        assert_eq!(ids.get("kapso:8").map(String::as_str), Some("kapso:8"));
    }

    #[test]
    fn a_message_is_called_by_its_wamid() {
        assert!(better_message("wamid.Z", "5e00-uuid").is_lt());
        assert!(better_message("a", "b").is_lt());
    }
}
