//! The story through the store: thousands of ways for it to arrive, one state.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use kapso_sim::Dialect;
use rand::RngExt as _;
use sqlx::PgPool;

use crate::permutation::Permutation;
use crate::state::{Effects, State};
use crate::story::Story;
use crate::{database, seeds, ways};

/// In each run: some minutes, which is what there is.
const PERMUTATIONS: u64 = 1_000;

/// In each run, of what one dialect tells.
const PERMUTATIONS_OF_ONE: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_in_any_order() -> Result<()> {
    let story = Story::new();
    let expected = canonical(&story, Effects::Owed).await?;
    let counts = expected.counts();
    for (table, least) in [
        ("contacts", 4),
        ("conversations", 6),
        ("messages", 40),
        ("message_statuses", 15),
        ("reactions", 3),
        ("subjects", 5),
        ("effects", 25),
        ("dead_letters", 1),
        ("message_aliases", 10),
        ("takeovers", 10),
    ] {
        let rows = counts.get(table).copied().unwrap_or_default();
        ensure!(rows >= least, "only {rows} rows in {table}: the story is not told");
    }
    let rows = expected.rows("takeovers");
    for by in ["business_app", "handoff", "unclaimed"] {
        ensure!(rows.iter().any(|row| row["by"] == by), "nobody takes over by {by}");
    }
    let rows = expected.rows("messages");
    for column in ["edited_at", "deleted_at", "group_id"] {
        let told = rows.iter().any(|row| row.get(column).is_some_and(|value| !value.is_null()));
        ensure!(told, "no message has its {column}: the story is not told");
    }
    permute("a_story_in_any_order", &story, &expected, Effects::Owed, PERMUTATIONS).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_dialect_tells_in_any_order() -> Result<()> {
    for dialect in [Dialect::Guide, Dialect::V1, Dialect::V2, Dialect::Meta] {
        let story = Story::in_dialect(dialect);
        let expected = canonical(&story, Effects::Whole).await?;
        let test = format!("what_one_dialect_tells_in_any_order ({dialect})");
        permute(&test, &story, &expected, Effects::Whole, PERMUTATIONS_OF_ONE).await?;
    }
    Ok(())
}

async fn permute(test: &str, story: &Story, expected: &State, effects: Effects, count: u64) -> Result<()> {
    let collisions = AtomicU64::new(0);
    seeds::each(test, count, async |pool: &PgPool, seed, _| {
        let mut permutation = Permutation::of(story, seed);
        let way = permutation.random.random_range(0..10);
        match way {
            // The archive keeps a webhook that it knows away from projection: here nothing does.
            0..2 => ways::straight(pool, &permutation.windows).await?,
            2..5 => {
                let workers = permutation.random.random_range(2..=4);
                let met = ways::at_once(pool, &permutation.windows, workers).await?;
                collisions.fetch_add(met, Ordering::Relaxed);
            }
            _ => ways::one_by_one(pool, &permutation.windows).await?,
        }
        let mut found = State::of(pool, effects).await?;
        if way < 2 {
            found.assume(expected, "dead_letters");
        } else {
            archived(pool, &permutation).await?;
        }
        let windows = permutation.windows.len();
        ensure!(expected.same(&found), "{}({windows} windows, way {way})", expected.difference(&found));
        Ok(())
    })
    .await?;
    seeds::note(&format!("    deadlocks: {}", collisions.load(Ordering::Relaxed)));
    Ok(())
}

/// The state of the story as it happened.
pub(crate) async fn canonical(story: &Story, effects: Effects) -> Result<State> {
    let pool = database::make().await?;
    let webhooks = Permutation::canonical(story);
    let windows: Vec<_> = webhooks.into_iter().map(|webhook| vec![webhook]).collect();
    ways::one_by_one(&pool, &windows).await?;
    let state = State::of(&pool, effects).await?;
    pool.close().await;
    seeds::note(&format!("{} webhooks; rows: {:?}", windows.len(), state.counts()));
    Ok(state)
}

/// The archive holds exactly what was sent, all of it done with.
async fn archived(pool: &PgPool, permutation: &Permutation) -> Result<()> {
    let sent: BTreeSet<Vec<u8>> = permutation.webhooks().map(|webhook| webhook.body.to_vec()).collect();
    let lost = missing(pool, &sent).await?;
    ensure!(lost == 0, "{lost} of {} webhooks are not in the archive", sent.len());
    let archived: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT body) FROM webhooks").fetch_one(pool).await?;
    ensure!(usize::try_from(archived)? == sent.len(), "{archived} webhooks are archived of {}", sent.len());
    let open = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL";
    let open: i64 = sqlx::query_scalar(open).fetch_one(pool).await.context("pending webhooks")?;
    ensure!(open == 0, "{open} webhooks are pending");
    Ok(())
}

/// How many of the bodies sent are not in the archive, done with.
pub(crate) async fn missing(pool: &PgPool, sent: &BTreeSet<Vec<u8>>) -> Result<usize> {
    let query = "SELECT DISTINCT body FROM webhooks WHERE projected_at IS NOT NULL OR dead_at IS NOT NULL";
    let archived: BTreeSet<Vec<u8>> = sqlx::query_scalar(query).fetch_all(pool).await?.into_iter().collect();
    Ok(sent.difference(&archived).count())
}
