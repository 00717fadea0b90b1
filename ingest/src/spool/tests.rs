//! The spool as a whole, in a directory of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    ops::Deref,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::FutureExt as _;

pub(crate) use super::record::tests::webhook;
use super::*;

/// A directory that goes with its handle.
pub(crate) struct Scratch(PathBuf);

pub(crate) fn scratch() -> Scratch {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("buzon-spool-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    fs::create_dir(&path).unwrap();
    Scratch(path)
}

impl Scratch {
    /// The segments in it, the oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        self.files("segment")
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            all.filter(|path| path.extension().is_some_and(|is| is == extension)).collect();
        files.sort();
        files
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A spool there that holds up to a megabyte.
pub(crate) fn settings(directory: &Path) -> Settings {
    Settings { directory: directory.to_owned(), max_bytes: 1024 * 1024, alarm_age: Duration::from_secs(60) }
}

fn open(directory: &Path) -> (Spool, Source) {
    // The thread of an earlier one ends, and gives the directory up, a moment after its handle.
    for _ in 0..500 {
        match Spool::open(&settings(directory), Figures::register()) {
            Err(OpenError::Owned(_)) => std::thread::sleep(Duration::from_millis(10)),
            other => return other.unwrap(),
        }
    }
    panic!("the directory is still owned");
}

async fn store(spool: &Spool, body: &[u8]) -> Result<(), NotStored> {
    spool.store(&webhook(body), Instant::now() + Duration::from_secs(10)).await
}

async fn rest(source: &mut Source) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some((place, webhook)) = source.next().await {
        bodies.push(webhook.body.to_vec());
        source.done(place);
    }
    source.tidy();
    bodies
}

/// Waits for what happens behind the scenes.
async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn what_was_stored_is_found_again_in_order() {
    let scratch = scratch();
    let (spool, source) = open(&scratch);
    store(&spool, b"one").await.unwrap();
    store(&spool, b"two").await.unwrap();
    drop((spool, source));
    let (spool, mut source) = open(&scratch);
    store(&spool, b"three").await.unwrap();
    assert_eq!(spool.stock.level().webhooks, 3);
    assert_eq!(scratch.segments().len(), 2);
    assert_eq!(rest(&mut source).await, [&b"one"[..], b"two", b"three"]);
    until("both segments to go", || scratch.segments().is_empty()).await;
    until("their bytes to go", || spool.stock.level().bytes == 0).await;
    assert_eq!(spool.stock.level().webhooks, 0);
}

/// Somebody has removed it: what it took is free again.
#[tokio::test]
async fn a_segment_that_is_gone_takes_no_room() {
    let scratch = scratch();
    let (spool, source) = open(&scratch);
    store(&spool, b"one").await.unwrap();
    drop((spool, source));
    let (spool, mut source) = open(&scratch);
    assert!(spool.stock.level().bytes > 0);
    scratch.segments().iter().for_each(|segment| fs::remove_file(segment).unwrap());
    assert!(rest(&mut source).await.is_empty());
    until("its bytes to go", || spool.stock.level().bytes == 0).await;
    assert_eq!(spool.stock.level().webhooks, 0);
}

/// Many at once, over several segments, while they are drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_between_writer_and_drainer() {
    let scratch = scratch();
    let settings = Settings { max_bytes: 1 << 30, ..settings(&scratch) };
    let (spool, mut source) = Spool::open(&settings, Figures::register()).unwrap();
    let mut storing = tokio::task::JoinSet::new();
    for client in 0..16_u16 {
        let spool = spool.clone();
        storing.spawn(async move {
            for n in 0..200_u16 {
                let mut body = vec![b'x'; 8 * 1024];
                body[..2].copy_from_slice(&(client * 200 + n).to_be_bytes());
                store(&spool, &body).await.unwrap();
            }
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3_200 {
        for body in rest(&mut source).await {
            assert!(seen.insert(body[..2].to_vec()), "twice");
        }
        tokio::task::yield_now().await;
    }
    storing.join_all().await;
    // What the writer held when all was drained is given up now.
    assert!(rest(&mut source).await.is_empty());
    until("all segments to go", || scratch.segments().is_empty()).await;
}

#[tokio::test]
async fn a_torn_end_costs_nothing_and_a_damaged_middle_itself_only() {
    let scratch = scratch();
    for (cut, flip, kept, damaged) in [(5, None, &["a", "b"][..], 0), (0, Some(30), &["b", "c"], 1)] {
        let (spool, source) = open(&scratch);
        for body in ["a", "b", "c"] {
            store(&spool, body.as_bytes()).await.unwrap();
        }
        drop((spool, source));
        let [segment] = &scratch.segments()[..] else { panic!("one segment") };
        let mut bytes = fs::read(segment).unwrap();
        bytes.truncate(bytes.len() - cut);
        if let Some(at) = flip {
            bytes[at] ^= 1;
        }
        fs::write(segment, bytes).unwrap();

        let (_spool, mut source) = open(&scratch);
        let bodies: Vec<_> = kept.iter().map(|body| body.as_bytes().to_vec()).collect();
        assert_eq!(rest(&mut source).await, bodies);
        until("the segment to go", || scratch.segments().is_empty()).await;
        until("damage to be kept", || scratch.files("damaged").len() == damaged).await;
    }
}

#[tokio::test]
async fn rubbish_at_the_end_is_kept_for_a_person() {
    let scratch = scratch();
    let (spool, source) = open(&scratch);
    store(&spool, b"a").await.unwrap();
    drop((spool, source));
    let segment = fs::OpenOptions::new().append(true).open(&scratch.segments()[0]);
    segment.unwrap().write_all(b"nothing that was ever written here").unwrap();
    let (_spool, mut source) = open(&scratch);
    assert_eq!(rest(&mut source).await, [b"a"]);
    until("it to be kept", || scratch.files("damaged").len() == 1).await;
}

#[tokio::test]
async fn it_is_bounded_and_takes_more_when_it_was_drained() {
    let scratch = scratch();
    let (spool, mut source) = open(&scratch);
    let body = vec![b'x'; 300 * 1024];
    for _ in 0..3 {
        store(&spool, &body).await.unwrap();
    }
    assert_eq!(store(&spool, &body).await, Err(NotStored::Full));
    assert_eq!(spool.stock.level().trouble, Some(NotStored::Full));
    // A small one still fits.
    store(&spool, b"small").await.unwrap();
    assert_eq!(rest(&mut source).await.len(), 4);
    until("the bytes to go", || spool.stock.level().trouble.is_none()).await;
    store(&spool, &body).await.unwrap();
}

#[tokio::test]
async fn a_segment_stays_until_its_last_webhook_is_done() {
    let scratch = scratch();
    let (spool, mut source) = open(&scratch);
    for body in [b"a", b"b"] {
        store(&spool, body).await.unwrap();
    }
    let (first, _) = source.next().await.unwrap();
    let (second, _) = source.next().await.unwrap();
    source.done(second);
    source.tidy();
    assert_eq!(scratch.segments().len(), 1);
    assert_eq!(spool.stock.level().webhooks, 1);
    source.done(first);
    source.tidy();
    until("the segment to go", || scratch.segments().is_empty()).await;
}

/// The drainer stops while the disk is being asked: what nobody took is still there, and so is its file.
#[tokio::test]
async fn a_read_that_nobody_waits_for_takes_nothing_with_it() {
    let scratch = scratch();
    let (spool, mut source) = open(&scratch);
    store(&spool, b"a").await.unwrap();
    assert!(source.next().now_or_never().is_none(), "the disk is asked");
    source.tidy();
    assert_eq!(spool.stock.level().webhooks, 1);
    drop((spool, source));
    let (_spool, mut source) = open(&scratch);
    assert_eq!(rest(&mut source).await, [b"a"]);
}

/// Too many open files, no memory: that says nothing of the file.
#[tokio::test]
async fn what_can_not_be_read_now_is_read_later() {
    let scratch = scratch();
    let (spool, mut source) = open(&scratch);
    store(&spool, b"a").await.unwrap();
    let [segment] = &scratch.segments()[..] else { panic!("one segment") };
    let elsewhere = segment.with_extension("elsewhere");
    fs::rename(segment, &elsewhere).unwrap();
    // What can be opened and not be read.
    fs::create_dir(segment).unwrap();
    assert!(source.next().await.is_none());
    source.tidy();
    fs::remove_dir(segment).unwrap();
    fs::rename(&elsewhere, segment).unwrap();
    source.changed().await;
    assert_eq!(rest(&mut source).await, [b"a"]);
    until("the segment to go", || scratch.segments().is_empty()).await;
    assert!(scratch.files("damaged").is_empty());
}

/// The end of a file is gone: that costs the webhook there, and not those before it.
#[tokio::test]
async fn what_is_left_of_a_file_is_drained() {
    let scratch = scratch();
    let (spool, mut source) = open(&scratch);
    for body in [&b"a"[..], b"b", &[b'c'; 10_000]] {
        store(&spool, body).await.unwrap();
    }
    let [segment] = &scratch.segments()[..] else { panic!("one segment") };
    let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - 5_000).unwrap();
    assert_eq!(rest(&mut source).await, [b"a", b"b"]);
    until("damage to be kept", || scratch.files("damaged").len() == 1).await;
}

/// A number is given once, also where its file can't be read at a start.
#[tokio::test]
async fn a_file_that_can_not_be_read_keeps_its_number() {
    let scratch = scratch();
    let unreadable = Name { number: 7, mark: [7; 8] }.to_string();
    fs::create_dir(scratch.join(&unreadable)).unwrap();
    let (spool, mut source) = open(&scratch);
    store(&spool, b"a").await.unwrap();
    let names: Vec<_> = scratch.segments().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert!(names.len() == 2 && names[1].to_str().unwrap().starts_with("0000000000000008-"), "{names:?}");
    assert_eq!(rest(&mut source).await, [b"a"]);
}

/// A group fails: the next one goes to another file, and the first file ends where it was good.
#[tokio::test]
async fn nothing_is_written_to_a_file_that_failed() {
    let scratch = scratch();
    let directory = Arc::new(Directory::open(&scratch).unwrap());
    let stock = Stock::new(Vec::new(), 0, 0, 1024);
    let name = stock.next_name();
    directory.create(name).unwrap();
    stock.began(name);
    assert!(!stock.retire(name, 0, false), "it is held");
    stock.stored(name, 10, 1, time::OffsetDateTime::now_utc());
    assert!(stock.hold(name));
    stock.failed(NotStored::Failed);
    assert_eq!(stock.level().trouble, Some(NotStored::Failed));
    assert_eq!(stock.release(name), 10);
    stock.recovered();
    assert_eq!(stock.level().trouble, None);
    assert!(!stock.retire(name, 10, false), "a webhook of it is not confirmed");
    stock.confirmed(name, None);
    assert!(stock.retire(name, 10, false));
    assert!(!stock.hold(name), "it was given up");
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_waited_for() {
    let spool = silent();
    let begun = Instant::now();
    let soon = begun + Duration::from_millis(50);
    assert_eq!(spool.store(&webhook(b"{}"), soon).await, Err(NotStored::Late));
    spool.stock.busy();
    until("it to be known", || spool.stock.is_hanging()).await;
    assert_eq!(spool.stock.level().trouble, Some(NotStored::Late));
    let begun = Instant::now();
    assert_eq!(store(&spool, b"{}").await, Err(NotStored::Late));
    assert!(begun.elapsed() < Duration::from_secs(5), "at once");
}
