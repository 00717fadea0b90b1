//! Trying many seeds, on a few databases at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use sqlx::PgPool;

use crate::database;

/// One seed to try, in decimal, instead of all.
pub(crate) const SEED: &str = "BUZON_SEED";

/// How many databases are in use at once. More than the cores of a small machine: they wait for each other's commits.
const AT_ONCE: usize = 4;

/// After so many permutations a database is emptied thoroughly.
const THOROUGHLY_EVERY: u64 = 100;

/// Tries `count` seeds, or the one that the environment names. The first that fails is the error, with its seed.
pub(crate) async fn each(
    test: &str,
    count: u64,
    trial: impl AsyncFn(&PgPool, u64, u64) -> Result<()>,
) -> Result<()> {
    let (first, count) = (first()?, if std::env::var_os(SEED).is_some() { 1 } else { count });
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let lanes = (0..AT_ONCE.min(usize::try_from(count)?)).map(async |_| {
        let pool = database::make().await?;
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                break;
            }
            database::empty(&pool, nth % THOROUGHLY_EVERY < 4).await?;
            let seed = first + nth;
            if let Err(error) = trial(&pool, seed, nth).await {
                bail!(
                    "{error:#}\n{nth} were fine. To see this one again: {SEED}={seed}, and the test {test}"
                );
            }
        }
        pool.close().await;
        Ok(())
    });
    try_join_all(lanes).await?;
    let seconds = start.elapsed().as_secs_f64();
    note(&format!("{test}: {count} seeds from {first} in {seconds:.1} s"));
    Ok(())
}

/// The first of the seeds that every run tries: what is green stays green.
const FIRST: u64 = 20_261_124;

/// Set, it makes a run try another part of the space, which the next run will not try again.
const EXPLORE: &str = "BUZON_EXPLORE";

/// The seed that the environment names, else the first of those that are tried; a failure says which.
pub(crate) fn first() -> Result<u64> {
    match std::env::var(SEED) {
        Ok(seed) => seed.parse().with_context(|| format!("{SEED} is a number: {seed:?}")),
        Err(_) if std::env::var_os(EXPLORE).is_some() => Ok(u64::from(rand::random::<u32>()) << 16),
        Err(_) => Ok(FIRST),
    }
}

/// Tells a person who looks (`--nocapture`).
#[expect(clippy::print_stdout, reason = "a test's report goes to whoever runs it")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}
