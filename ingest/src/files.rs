//! Open files: each connection is one, and the spool and the broker need some as well.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is left to everything but connections: segments of the spool, the broker's connection, the log.
const OTHERS: u64 = 128;

/// The most connections of a thread, however many files there may be. It is actix's own bound.
const CONNECTIONS: u64 = 25_600;

/// Raises the limit of open files as far as the system lets us; how many connections each of `threads` may have. Where
/// they had all files, nothing could be spooled for them.
pub(crate) fn connections(threads: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
    share(getrlimit(Resource::Nofile).current, threads)
}

/// Each thread's share of so many files; none: there is no limit.
fn share(files: Option<u64>, threads: usize) -> usize {
    let threads = u64::try_from(threads).unwrap_or(u64::MAX).max(1);
    let connections = files.unwrap_or(u64::MAX).saturating_sub(OTHERS) / threads;
    usize::try_from(connections.clamp(1, CONNECTIONS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_left_to_the_spool_and_the_broker() {
        assert_eq!(share(Some(1024), 2), 448);
        assert_eq!(share(Some(1_048_576), 2), 25_600);
        assert_eq!(share(None, 64), 25_600);
        // The door is never shut.
        assert_eq!(share(Some(64), 2), 1);
    }
}
