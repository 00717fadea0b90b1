//! The ways from webhooks to tables.

use anyhow::{Result, bail};
use contract::envelope::Envelope;
use futures_util::future::try_join_all;
use sqlx::PgPool;
use time::OffsetDateTime;
use worker::decode::decode;
use worker::effects::{Policy, outbox};
use worker::fault::Fault;
use worker::project::{self, Lock, ProjectError, Source, Sourced};
use worker::store::{Batch, Store};

/// What Postgres says when two transactions wait for each other, or can't both have been alone. The consumer takes
/// both for an outage, and tries again.
const COLLISIONS: [&str; 2] = ["(40P01)", "(40001)"];

/// Our number, for events that do not name it: that of the story.
pub(crate) const NUMBER: &str = "118800223344556";

/// Everything in the story is younger by far, or older by far.
pub(crate) const REPLY_MAX_AGE: time::Duration = time::Duration::hours(6);

/// As one worker takes them: window by window.
pub(crate) async fn one_by_one(pool: &PgPool, windows: &[Vec<Envelope>]) -> Result<()> {
    let store = Store::new(pool.clone(), policy());
    for window in windows {
        store.take(&Batch::of(window)).await?;
    }
    Ok(())
}

/// As several workers take them at once; how often two of them collided.
pub(crate) async fn at_once(pool: &PgPool, windows: &[Vec<Envelope>], workers: usize) -> Result<u64> {
    let workers = (0..workers).map(|nth| {
        let (pool, windows) = (pool.clone(), windows.to_vec());
        let mine = windows.into_iter().skip(nth).step_by(workers);
        tokio::spawn(async move {
            let store = Store::new(pool, policy());
            let mut collisions = 0;
            for window in mine {
                while let Err(fault) = store.take(&Batch::of(&window)).await {
                    let told = fault.to_string();
                    if !matches!(&fault, Fault::Outage(_)) || self::collisions(&told) == 0 {
                        bail!(fault);
                    }
                    collisions += 1;
                }
            }
            Ok(collisions)
        })
    });
    let collisions: Result<Vec<u64>> = try_join_all(workers).await?.into_iter().collect();
    Ok(collisions?.into_iter().sum())
}

/// How many collisions a text tells of.
pub(crate) fn collisions(told: &str) -> usize {
    COLLISIONS.iter().map(|code| told.matches(code).count()).sum()
}

/// Past the archive: what comes again is projected again.
pub(crate) async fn straight(pool: &PgPool, windows: &[Vec<Envelope>]) -> Result<()> {
    for window in windows {
        let mut events = Vec::new();
        for webhook in window {
            let decoded = decode(webhook);
            let Some(dialect) = decoded.dialect else { continue };
            let (source, received_at) = (Source::Webhook(webhook.id), webhook.received_at);
            let sourced = |event| Sourced { source, received_at, dialect, event };
            events.extend(decoded.events.into_iter().map(sourced));
        }
        project(pool, &events).await?;
    }
    Ok(())
}

/// Projects a slice and owes its effects as the store does, but knows no archive: nothing is left out as known.
pub(crate) async fn project(pool: &PgPool, events: &[Sourced]) -> Result<()> {
    let mut lock = Lock::Shared;
    loop {
        let mut tx = pool.begin().await?;
        project::lock(&mut tx, lock).await?;
        match project::project(&mut tx, events, lock).await {
            Ok(received) => {
                let now = OffsetDateTime::now_utc();
                outbox::owe(&mut tx, &policy(), &received, now).await?;
                return Ok(tx.commit().await?);
            }
            Err(ProjectError::NeedsExclusive) if lock == Lock::Shared => {
                tx.rollback().await?;
                lock = Lock::Exclusive;
            }
            Err(error) => bail!("projecting: {error}"),
        }
    }
}

/// Owes as a worker with a token does; nothing is too old that is not very old.
pub(crate) fn policy() -> Policy {
    Policy {
        off: None,
        book: worker::effects::RuleBook { max_age: REPLY_MAX_AGE, ..Default::default() },
        phone_number_id: Some(NUMBER.to_owned()),
        api: worker::kapso::ApiStyle::Conversation.into(),
    }
}
