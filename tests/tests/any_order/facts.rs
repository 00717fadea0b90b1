//! Any facts at all: small worlds of few names, few times and many ties, made up at random, so that everything
//! meets everything. Goes straight to `project::project`, with duplicates.

use anyhow::{Result, ensure};
use contract::{envelope::WebhookId, kind::Kind};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use worker::event::{
    Change, Contact, ContactNames, Conversation, Dialect, Direction, Event, Fact, Media, Message, Moment,
    Progress, Reaction, Revision, Status, SubjectEvent, SubjectKind,
};
use worker::project::{Source, Sourced};

use crate::{
    database, seeds,
    state::{Effects, State},
    ways,
};

/// How many facts a world has.
const FACTS: usize = 16;

/// How many worlds are tried.
const WORLDS: u64 = 600;

/// Times that a fact can have. Few, so that many are the same.
const TIMES: i64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_facts_at_all() -> Result<()> {
    seeds::each("any_facts_at_all", WORLDS, async |pool: &PgPool, seed, _| try_world(pool, seed).await).await
}

async fn try_world(pool: &PgPool, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let started = crate::story::began();
    let mut facts: Vec<Sourced> = (0..FACTS).map(|place| sourced(&mut random, started, place)).collect();
    let mut order: Vec<usize> =
        (0..FACTS).flat_map(|place| vec![place; random.random_range(1..=2)]).collect();
    order.shuffle(&mut random);
    let most = random.random_range(1..=FACTS);
    let Some(mut difference) = differs(pool, &facts, &order, most).await? else { return Ok(()) };
    // The fewest facts that show it are the easiest to understand.
    let mut place = 0;
    while place < facts.len() {
        let mut fewer = facts.clone();
        fewer.remove(place);
        let less: Vec<usize> =
            order.iter().filter(|at| **at != place).map(|at| at - usize::from(*at > place)).collect();
        match differs(pool, &fewer, &less, most).await? {
            Some(still) => (facts, order, difference) = (fewer, less, still),
            None => place += 1,
        }
    }
    let told: Vec<String> = facts
        .iter()
        .enumerate()
        .map(|(at, fact)| format!("{at}: {:?} {:?}", fact.dialect, fact.event))
        .collect();
    ensure!(
        false,
        "{difference}facts, by ones, against the order {order:?} by up to {most}:\n{}",
        told.join("\n")
    );
    Ok(())
}

/// How the facts in that order differ from the facts as they are, if they do.
async fn differs(pool: &PgPool, facts: &[Sourced], order: &[usize], most: usize) -> Result<Option<String>> {
    database::empty(pool, false).await?;
    for fact in facts {
        ways::project(pool, std::slice::from_ref(fact)).await?;
    }
    let expected = State::of(pool, Effects::Owed).await?;
    database::empty(pool, false).await?;
    let shuffled: Vec<Sourced> = order.iter().filter_map(|place| facts.get(*place)).cloned().collect();
    for slice in shuffled.chunks(most) {
        ways::project(pool, slice).await?;
    }
    let found = State::of(pool, Effects::Owed).await?;
    Ok((expected != found).then(|| expected.difference(&found)))
}

fn sourced(random: &mut StdRng, started: OffsetDateTime, place: usize) -> Sourced {
    let id = WebhookId::of(&Kind::unknown(), &place.to_be_bytes());
    let dialect = one(random, &[Dialect::Guide, Dialect::KapsoV1, Dialect::KapsoV2, Dialect::Meta]);
    let at = Moment { at: instant(random, started), timed: random.random_bool(0.8) };
    let received_at = started + Duration::seconds(100);
    let item = random.random_range(0..2);
    Sourced {
        source: Source::Webhook(id),
        received_at,
        dialect,
        event: Event { item, at, fact: fact(random, started) },
    }
}

fn fact(random: &mut StdRng, started: OffsetDateTime) -> Fact {
    match random.random_range(0..12) {
        0..=2 => Fact::Message(message(random)),
        3 => Fact::Status(status(random)),
        4 => Fact::Conversation(conversation(random, started)),
        5..=7 => Fact::Contact(contact(random, started)),
        8 => Fact::Reaction(Reaction {
            to: message_names(random),
            contact: contact_names(random),
            emoji: text(random, &["❤", "👍"]),
        }),
        9 | 10 => Fact::Revision(Revision {
            of: message_names(random),
            change: if random.random() {
                Change::Edited(text(random, &["ayuda", "adiós"]))
            } else {
                Change::Deleted
            },
        }),
        _ => Fact::Subject(SubjectEvent {
            kind: one(
                random,
                &[SubjectKind::PhoneNumber, SubjectKind::Account, SubjectKind::WorkflowExecution],
            ),
            id: one(random, &["1", "2"]).to_owned(),
            event: one(random, &["connected", "disconnected", "handoff"]).to_owned(),
            conversation: text(random, &["c1", "c2"]),
            details: one(random, &["{}", r#"{"a": 1}"#]).to_owned(),
        }),
    }
}

fn message(random: &mut StdRng) -> Message {
    let names = if random.random_bool(0.1) { Vec::new() } else { message_names(random) };
    let media = text(random, &["{}", r#"{"url":"a"}"#]);
    let kept = random.random();
    Message {
        names,
        direction: maybe(random, &[Direction::Inbound, Direction::Outbound]),
        conversation: text(random, &["c1", "c2"]),
        contact: contact_names(random),
        phone_number_id: text(random, &["n1"]),
        group: text(random, &["g1"]).filter(|_| random.random_bool(0.2)),
        origin: text(random, &["cloud_api", "business_app", "history_sync"]),
        kind: text(random, &["text", "image"]),
        body: text(random, &["ayuda", "hola", ""]),
        media: media.map(|json| Media { json, kept }),
        context: text(random, &["{}", "[]"]),
        content: text(random, &["{}", "[]"]),
        written_now: random.random(),
    }
}

fn status(random: &mut StdRng) -> Status {
    let progress = one(
        random,
        &[Progress::Sent, Progress::Delivered, Progress::Read, Progress::Played, Progress::Failed],
    );
    Status {
        names: message_names(random),
        progress,
        details: text(random, &["{}", "[]"]),
        error: text(random, &["{}", "[]"]).filter(|_| progress == Progress::Failed),
        callback_data: text(random, &["buzon:effect:1", "buzon:effect:2"]),
    }
}

fn conversation(random: &mut StdRng, started: OffsetDateTime) -> Conversation {
    Conversation {
        id: one(random, &["c1", "c2"]).to_owned(),
        contact: contact_names(random),
        phone_number_id: text(random, &["n1", "n2"]),
        status: text(random, &["active", "ended"]),
        last_active_at: sometimes(random, started),
        created_at: sometimes(random, started),
        ended_at: sometimes(random, started),
        inactive_at: sometimes(random, started),
        metadata: text(random, &["{}", "[]"]),
    }
}

fn contact(random: &mut StdRng, started: OffsetDateTime) -> Contact {
    let mut names = contact_names(random);
    if names.ids().is_empty() {
        names.phone_number = Some("11".to_owned());
    }
    let bsuid = text(random, &["CL.a", "CL.b"]);
    Contact {
        names,
        former: ContactNames { bsuid, ..ContactNames::default() },
        name: text(random, &["Ana", "Beto"]),
        username: text(random, &["@ana", "@beto"]),
        marketing: text(random, &["stopped", "resumed"]),
        created_at: sometimes(random, started),
    }
}

fn contact_names(random: &mut StdRng) -> ContactNames {
    ContactNames {
        phone_number: text(random, &["11", "22", "33"]),
        bsuid: text(random, &["CL.a", "CL.b", "CL.c"]),
        kapso_id: text(random, &["k1", "k2", "k3"]),
        others: text(random, &["33", "44", "CL.c"]).filter(|_| random.random_bool(0.2)).into_iter().collect(),
    }
}

fn message_names(random: &mut StdRng) -> Vec<String> {
    loop {
        let names = [text(random, &["wamid.1", "wamid.2"]), text(random, &["u1", "u2", "u3"])];
        let names: Vec<String> = names.into_iter().flatten().collect();
        if !names.is_empty() {
            return names;
        }
    }
}

fn instant(random: &mut StdRng, started: OffsetDateTime) -> OffsetDateTime {
    started + Duration::seconds(random.random_range(0..TIMES))
}

fn sometimes(random: &mut StdRng, started: OffsetDateTime) -> Option<OffsetDateTime> {
    random.random_bool(0.4).then(|| instant(random, started))
}

fn text(random: &mut StdRng, texts: &[&'static str]) -> Option<String> {
    maybe(random, texts).map(str::to_owned)
}

fn maybe<T: Copy>(random: &mut StdRng, values: &[T]) -> Option<T> {
    random.random_bool(0.5).then(|| one(random, values))
}

fn one<T: Copy>(random: &mut StdRng, values: &[T]) -> T {
    values[random.random_range(0..values.len())]
}
