//! A million mutants of each dialect's examples, through the whole of decoding.

use payloads::{Corpus, Mutant, run};
use worker::decode::decode;

use crate::{received, sound};

/// How often a mutant is decoded twice: that it is the same each time needs no million.
const TWICE: usize = 8;

fn target(dialect: &str) {
    let corpus = Corpus::new(payloads::all().unwrap(), |example| {
        let (folder, name) = example.name.split_once('/').unwrap_or_default();
        let own = folder == "more" && name.split('.').next().is_some_and(|it| dialect.contains(it));
        own || folder.strip_suffix("-batch").unwrap_or(folder) == dialect
    });
    run(dialect, &corpus, check);
}

fn check(mutant: &Mutant) -> Result<(), String> {
    let webhook = received::mutant(mutant);
    let decoded = decode(&webhook);
    sound::check(&decoded, &mutant.body)?;
    if mutant.body.len().is_multiple_of(TWICE) && format!("{decoded:?}") != format!("{:?}", decode(&webhook))
    {
        return Err("decoded again, it says something else".to_owned());
    }
    Ok(())
}

#[test]
fn the_guides_dialect() {
    target("guide");
}

#[test]
fn kapsos_first_dialect() {
    target("kapso-v1");
}

#[test]
fn kapsos_second_dialect() {
    target("kapso-v2");
}

#[test]
fn metas_dialect() {
    target("meta-forwarded");
}

#[test]
fn our_own_dialect() {
    target("backfill");
}
