//! The load: webhooks of many kinds in every dialect, each with names of its own. What the nth one says, and what it
//! owes, follows from the seed; only its times are those of the moment.

use contract::envelope::WebhookId;
use contract::kind::Kind;
use kapso_sim::dialect::{Dialect, Secrets, Webhook};
use kapso_sim::story::Line;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::teller::{MOST, QUESTIONS, SINGLES, Teller};
use crate::stage::SECRET;

/// Kinds of messages that no rule answers.
const SAYINGS: [&str; 8] =
    ["text", "text", "image", "audio", "document", "location", "interactive", "contacts"];

/// Tells webhooks.
#[derive(Debug)]
pub(super) struct Story {
    seed: u64,
    line: Line,
}

/// One webhook.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: WebhookId,
    pub(super) webhook: Webhook,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What has to become of it besides its archived bytes.
    pub(super) owes: Vec<Owe>,
    /// The sender misses the answer, and sends it once more.
    pub(super) again: bool,
}

/// Something that a webhook answered 200 must lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owe {
    /// A row of `messages`.
    Message(String),
    /// A row of `message_statuses`.
    Status { message: String, status: &'static str },
    /// A row of `conversations`.
    Conversation(String),
    /// A mark-as-read of this message, once.
    Mark(String),
    /// A reply to this message, which goes to this number, once.
    Reply { message: String, to: String },
}

impl Story {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, line: Line::default() }
    }

    /// The id of our number.
    pub(super) fn phone_number_id(&self) -> &str {
        &self.line.phone_number_id
    }

    /// The nth webhook.
    pub(super) fn tell(&self, nth: u64) -> Told {
        let mut random = StdRng::seed_from_u64(self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut teller = Teller::new(&self.line, nth);
        let single = *SINGLES.choose(&mut random).unwrap_or(&Dialect::V2);
        let webhook = match random.random_range(0..100) {
            0..25 => teller.received(single, QUESTIONS.choose(&mut random).copied().unwrap_or_default()),
            25..45 => teller.received_sample(single, SAYINGS.choose(&mut random).copied().unwrap_or("text")),
            45..77 => teller.status(single),
            77..84 => teller.opened(random.random_bool(0.5)),
            84..89 => teller.batch(random.random_range(1..=MOST)),
            89..94 => teller.several(random.random_range(2..=MOST)),
            94..97 => teller.renamed(),
            _ => teller.unusual(random.random_bool(0.5)),
        };
        // Every dialect has words for what it is chosen for; the tests see that this one is never told.
        let webhook = webhook.unwrap_or_else(|| teller.untold());
        let owes = teller.owes;
        let kind = match webhook.dialect {
            // Meta's bodies name no kind, and Kapso names none for them.
            Dialect::Meta => Kind::unknown(),
            _ => Kind::new(&webhook.kind),
        };
        let secrets = Secrets { webhook: Some(SECRET.to_owned()), meta_app: None };
        Told {
            id: WebhookId::of(&kind, &webhook.body),
            headers: webhook.headers(&format!("chaos-{nth}"), &secrets),
            webhook,
            owes,
            again: random.random_bool(0.04),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_is_a_story() {
        let (story, same, other) = (Story::of(1), Story::of(1), Story::of(2));
        let owes = |story: &Story| (0..200).map(|nth| story.tell(nth).owes).collect::<Vec<_>>();
        assert_eq!(owes(&story), owes(&same));
        assert_ne!(owes(&story), owes(&other));
    }

    #[test]
    fn nothing_is_told_twice() {
        let story = Story::of(3);
        let told: Vec<Told> = (0..3000).map(|nth| story.tell(nth)).collect();
        let ids: HashSet<_> = told.iter().map(|told| told.id).collect();
        assert_eq!(ids.len(), told.len());
        let effects = told.iter().flat_map(|told| &told.owes).filter(|owe| !matches!(owe, Owe::Message(_)));
        let effects: Vec<_> = effects.collect();
        assert_eq!(effects.iter().collect::<HashSet<_>>().len(), effects.len());
        let replies = effects.iter().filter(|owe| matches!(owe, Owe::Reply { .. })).count();
        assert!((500..1500).contains(&replies), "{replies}");
        assert!(told.iter().all(|told| !told.webhook.kind.starts_with("chaos.")));
    }
}
