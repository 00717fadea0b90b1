//! The hot pure parts of the product, each over the same webhooks.

use std::hint::black_box;

use anyhow::{Result, ensure};
use bytes::Bytes;
use contract::envelope::{Envelope, Hints};
use contract::settings::Secret;
use contract::signature::{Keys, Presented, SignatureHeader, sign};
use time::OffsetDateTime;
use worker::decode::decode;
use worker::effects::{Matching, Rule, Rules};
use worker::event::{Event, Fact};
use worker::project::{Source, Sourced, fold_alone};

use crate::bare::envelope;
use crate::traffic::{Dialect, Stream, Traffic};

/// How many webhooks one turn of a case takes: as many as a full window of the worker holds on a busy day.
pub const WEBHOOKS: u64 = 200;

const SECRET: &str = "a-secret-of-the-bench";

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// The signature over a body.
    Verify,
    /// Naming a webhook and writing its envelope.
    Seal,
    /// From bytes to events.
    Decode,
    /// From events to rows.
    Fold,
    /// Which rule answers a text.
    Rules,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Verify, Self::Seal, Self::Decode, Self::Fold, Self::Rules];

    /// Prepares the case, and does it so many times over.
    ///
    /// # Errors
    ///
    /// When the webhooks can't be made, or the case does not do what it is there for.
    pub fn play(self, times: u64) -> Result<()> {
        let webhooks = webhooks()?;
        match self {
            Self::Verify => verify(&webhooks, times),
            Self::Seal => seal(&webhooks, times),
            Self::Decode => {
                let events = |webhook| decode(black_box(webhook)).events.len();
                repeat(times, || webhooks.iter().map(events).sum())
            }
            Self::Fold => {
                let events = sourced(&webhooks);
                repeat(times, || fold_alone(black_box(&events)))
            }
            Self::Rules => {
                let (rules, texts) = (ten_rules(), texts(&webhooks));
                // Nobody says one of the keywords: every rule is looked at.
                let unanswered = |text: &&String| rules.answer(black_box(text)).is_none();
                repeat(times, || texts.iter().filter(unanswered).count())
            }
        }
    }
}

fn repeat(times: u64, mut work: impl FnMut() -> usize) -> Result<()> {
    for _ in 0..times {
        ensure!(black_box(work()) > 0, "it came to nothing");
    }
    Ok(())
}

fn verify(webhooks: &[Envelope], times: u64) -> Result<()> {
    let keys = Keys::new(&[Secret::new(SECRET)], None);
    let [header, ..] = SignatureHeader::ALL;
    let mut signed = Vec::new();
    for webhook in webhooks {
        let mut presented = Presented::default();
        let signature = sign(&Secret::new(SECRET), &webhook.body);
        ensure!(presented.add(header, signature.as_bytes()).is_ok(), "a signature");
        signed.push((presented, webhook.body.clone()));
    }
    let fits =
        |(presented, body): &(Presented, Bytes)| usize::from(keys.verify(presented, body.clone()).is_ok());
    for _ in 0..times {
        ensure!(
            black_box(signed.iter().map(fits).sum::<usize>()) == signed.len(),
            "a signature does not fit"
        );
    }
    Ok(())
}

fn seal(webhooks: &[Envelope], times: u64) -> Result<()> {
    let keys = Keys::new(&[], None);
    for _ in 0..times {
        for webhook in webhooks {
            let Ok(verified) = keys.verify(&Presented::default(), webhook.body.clone()) else { continue };
            let mut hints = Hints::default();
            webhook.hints.iter().for_each(|(name, value)| hints.offer(name, value.as_bytes()));
            let sealed = Envelope::seal(verified, webhook.kind.clone(), hints, webhook.received_at);
            black_box(sealed.properties());
            ensure!(sealed.id == webhook.id, "another name");
        }
    }
    Ok(())
}

fn webhooks() -> Result<Vec<Envelope>> {
    let stream = Stream {
        dialect: Dialect::V2,
        name: "count".to_owned(),
        contacts: 20,
        ask_every: 0,
        since: OffsetDateTime::UNIX_EPOCH.unix_timestamp(),
        rate: 0.0,
    };
    let traffic = Traffic::of(stream)?;
    Ok((0..WEBHOOKS).map(|number| envelope(&traffic, number)).collect())
}

fn sourced(webhooks: &[Envelope]) -> Vec<Sourced> {
    let mut all = Vec::new();
    for webhook in webhooks {
        let decoded = decode(webhook);
        let Some(dialect) = decoded.dialect else { continue };
        all.extend(decoded.events.into_iter().map(|event| Sourced {
            source: Source::Webhook(webhook.id),
            received_at: webhook.received_at,
            dialect,
            event,
        }));
    }
    all
}

fn texts(webhooks: &[Envelope]) -> Vec<String> {
    let said = |event: Event| match event.fact {
        Fact::Message(message) => message.body,
        _ => None,
    };
    webhooks.iter().flat_map(|webhook| decode(webhook).events).filter_map(said).collect()
}

/// As many as a small business has.
fn ten_rules() -> Rules {
    let rule = |nth: usize| Rule {
        name: format!("rule {nth}"),
        keywords: ["envío", "cuánto cuesta", "horario"].map(|word| format!("{word}{nth}")).to_vec(),
        matching: Matching::Anywhere,
        reply: "…".to_owned(),
    };
    Rules::new((0..10).map(rule).collect())
}
