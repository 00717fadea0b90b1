//! One way in which a story can arrive: shuffled, repeated, gathered in batches, cut into windows.

use contract::envelope::Envelope;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::story::{Gathers, Story, Told};

/// Webhooks in the windows in which they are taken.
pub(crate) struct Permutation {
    pub(crate) windows: Vec<Vec<Envelope>>,
    /// Decides whatever else there is to decide.
    pub(crate) random: StdRng,
}

impl Permutation {
    /// The story as it happened: webhook by webhook.
    pub(crate) fn canonical(story: &Story) -> Vec<Envelope> {
        story.told.iter().map(|told| told.envelope(OffsetDateTime::now_utc())).collect()
    }

    /// The one of a seed.
    pub(crate) fn of(story: &Story, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let webhooks = webhooks(story, &mut random);
        let mut windows = Vec::new();
        let most = [1, 3, 10, 30, webhooks.len()][random.random_range(0..5)];
        let mut rest = webhooks.as_slice();
        while !rest.is_empty() {
            let (window, later) = rest.split_at(random.random_range(1..=most.min(rest.len())));
            windows.push(window.to_vec());
            rest = later;
        }
        Self { windows, random }
    }

    /// Every webhook of it.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = &Envelope> {
        self.windows.iter().flatten()
    }
}

/// The story's webhooks, shuffled, some again, some gathered.
pub(crate) fn arrivals(story: &Story, random: &mut StdRng) -> Vec<Told> {
    let again = [0.0, 0.1, 0.5][random.random_range(0..3)];
    let gathered = [0.0, 0.3, 0.9][random.random_range(0..3)];
    let times = |random: &mut StdRng| if random.random_bool(again) { random.random_range(2..4) } else { 1 };
    let mut told: Vec<&Told> = story.told.iter().flat_map(|told| vec![told; times(random)]).collect();
    told.shuffle(random);
    let mut arrivals = Vec::new();
    while let Some(first) = told.pop() {
        if first.gathers == Gathers::Nothing || !random.random_bool(gathered) {
            arrivals.push(first.clone());
            continue;
        }
        let mut left = random.random_range(0..8);
        let mut together = vec![first];
        told.retain(|other| {
            let taken = left > 0 && other.gathers == first.gathers;
            if taken {
                left -= 1;
                together.push(other);
            }
            !taken
        });
        arrivals.push(gather(&together, random));
    }
    arrivals
}

fn webhooks(story: &Story, random: &mut StdRng) -> Vec<Envelope> {
    let now = OffsetDateTime::now_utc();
    let mut webhooks = Vec::new();
    for mut told in arrivals(story, random) {
        if random.random_bool(0.2) {
            // The same under another key is the same; over the end of a month it is archived twice.
            told.headers.retain(|(name, _)| *name != "X-Idempotency-Key");
            told.headers.push(("X-Idempotency-Key", random.random::<u64>().to_string()));
        }
        let later = if random.random_bool(0.05) { 40 * 86_400 } else { random.random_range(0..60) };
        webhooks.push(told.envelope(now + Duration::seconds(later)));
    }
    webhooks
}

/// Several webhooks as one: Kapso's batch in one of its shapes, or one body of Meta's.
fn gather(together: &[&Told], random: &mut StdRng) -> Told {
    let Some(first) = together.first() else { unreachable!("nothing is gathered of nothing") };
    let mut one = (*first).clone();
    one.body = if first.gathers == Gathers::Entries {
        let entries = together.iter().filter_map(|told| told.body["entry"].as_array()).flatten();
        let entries: Vec<Value> = entries.cloned().collect();
        json!({ "object": "whatsapp_business_account", "entry": entries })
    } else {
        let items: Vec<&Value> = together.iter().map(|told| &told.body).collect();
        match random.random_range(0..4) {
            0 => json!({ "type": first.kind, "data": items }),
            1 => json!({ "event": first.kind, "data": items }),
            2 => json!(items),
            _ => json!({
                "type": first.kind, "batch": true, "data": items, "batch_info": { "size": items.len() },
            }),
        }
    };
    one
}
