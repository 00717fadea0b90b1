//! Every body is one of its own, and what the product's decoder makes of it is what was meant.

use std::collections::HashSet;

use contract::envelope::{Envelope, Hints};
use worker::decode::decode;

use super::*;

fn stream(dialect: Dialect) -> Stream {
    Stream { dialect, name: "t1".to_owned(), contacts: 7, ask_every: 3, since: 1_771_421_467, rate: 10.0 }
}

fn envelope(traffic: &Traffic, number: u64) -> Envelope {
    let mut body = Vec::new();
    let sent = traffic.write(number, &mut body);
    let mut hints = Hints::default();
    for (name, value) in [("x-webhook-event", sent.event), ("x-webhook-payload-version", sent.version)] {
        hints.offer(name, value.unwrap_or_default().as_bytes());
    }
    let (id, kind) = traffic.id(number, &body);
    Envelope::recall(id, kind, OffsetDateTime::now_utc(), "secret:0".to_owned(), hints, body.into())
}

#[test]
fn every_webhook_is_decoded_to_one_event_of_its_message() -> Result<()> {
    for dialect in [Dialect::Guide, Dialect::V2, Dialect::Meta] {
        let traffic = Traffic::of(stream(dialect))?;
        let mut ids = HashSet::new();
        for number in 0..4 * LONG_EVERY {
            let webhook = envelope(&traffic, number);
            assert!(ids.insert(webhook.id), "{dialect:?} {number} comes twice");
            let decoded = decode(&webhook);
            assert!(decoded.undecodable.is_empty() && decoded.not_understood == 0, "{dialect:?} {number}");
            let told = format!("{:?}", decoded.events);
            let message = traffic.message(number);
            assert!(told.contains(&message), "{dialect:?} {number}: {told}");
            assert_eq!(traffic.asks(number), told.contains("AYUDA"), "{dialect:?} {number}: {told}");
        }
    }
    Ok(())
}

#[test]
fn a_webhook_follows_from_its_number() -> Result<()> {
    let (one, other) = (Traffic::of(stream(Dialect::V2))?, Traffic::of(stream(Dialect::V2))?);
    for number in [0, 1, 199, 70_000] {
        assert_eq!(envelope(&one, number).id, envelope(&other, number).id);
    }
    let another = Traffic::of(Stream { name: "t2".to_owned(), ..stream(Dialect::V2) })?;
    assert_ne!(envelope(&one, 5).id, envelope(&another, 5).id);
    Ok(())
}

#[test]
fn sizes_are_those_of_the_examples_and_larger_ones() -> Result<()> {
    let traffic = Traffic::of(stream(Dialect::V2))?;
    let sizes: Vec<_> = (0..4 * LONG_EVERY).map(|number| envelope(&traffic, number).body.len()).collect();
    assert!(sizes.iter().all(|size| *size > 900));
    assert!(sizes.iter().any(|size| *size > 2 * LONGEST_TEXT - 100));
    Ok(())
}
