//! Running a parser on many mutants, on every core, until one shows a fault.

#![expect(clippy::panic, clippy::print_stderr, reason = "this is how a test fails and tells")]

use std::{
    any::Any,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::mutate::{Corpus, Mutant};

/// How many mutants a test tries, unless `BUZON_FUZZ_MINUTES` gives it time instead.
const EXAMPLES: u64 = 1_000_000;

/// How many mutants a thread takes at once.
const BLOCK: u64 = 1_000;

/// A fault: what the mutant's seed was, and what went wrong.
type Fault = (u64, String);

/// Checks mutants of a corpus; a panic or an error of `check` is a fault.
///
/// A normal run tries the same million each time, so that it fails for what was changed and
/// not by chance. A run of `BUZON_FUZZ_MINUTES` tries others each time. `BUZON_FUZZ_SEED`
/// begins with a given one.
///
/// # Panics
/// When there is a fault, naming the seed and the file that shows it.
pub fn run(target: &str, corpus: &Corpus, check: impl Fn(&Mutant) -> Result<(), String> + Sync) {
    let minutes: Option<f64> = setting("BUZON_FUZZ_MINUTES");
    let by_time = minutes.and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok());
    let first: u64 =
        setting("BUZON_FUZZ_SEED").unwrap_or_else(|| if by_time.is_some() { rand::random() } else { 0 });
    let started = Instant::now();
    let tried = AtomicU64::new(0);
    let fault: Mutex<Option<Fault>> = Mutex::new(None);
    let found = || fault.lock().unwrap_or_else(PoisonError::into_inner);
    let is_over = |next: u64| by_time.map_or(next >= EXAMPLES, |time| started.elapsed() >= time);
    let work = || {
        loop {
            let next = tried.fetch_add(BLOCK, Ordering::Relaxed);
            if is_over(next) || found().is_some() {
                tried.fetch_sub(BLOCK, Ordering::Relaxed);
                return;
            }
            for number in next..next + BLOCK {
                let seed = first.wrapping_add(number);
                if let Err(what) = checked(&corpus.mutant(seed), &check) {
                    // The first to be found may not be the first there is; one is enough.
                    found().get_or_insert((seed, what));
                    return;
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let (tried, took) = (tried.into_inner(), started.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a rate is about so many")]
    let rate = tried as f64 / took.max(0.001);
    eprintln!("{target}: {tried} mutants from seed {first} in {took:.1} s, {rate:.0}/s on {threads} threads");
    if let Some((seed, what)) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!("{}", told(target, &corpus.mutant(seed), seed, &what));
    }
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

fn checked(mutant: &Mutant, check: impl Fn(&Mutant) -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check(mutant)))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", words(&*panic))))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("without a word")
}

/// What a person needs to see it again. Long bytes go to a file.
fn told(target: &str, mutant: &Mutant, seed: u64, what: &str) -> String {
    let path = env::temp_dir().join(format!("buzon-fuzz-{target}-{seed}.bin"));
    let bytes = match fs::write(&path, &mutant.body) {
        Ok(()) => format!("in {}", path.display()),
        Err(_) => format!("in hex: {}", hex::encode(&mutant.body)),
    };
    let Mutant { kind, headers, .. } = mutant;
    format!(
        "{target}: {what}\n  kind {kind:?}, headers {headers:?}, bytes {bytes}\n  again: BUZON_FUZZ_SEED={seed}"
    )
}
