//! The directory of a spool: one owner, and files named by order and mark.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::frame::Mark;

/// The file that the owner holds locked. The lock ends with its process, however that ends.
const LOCK: &str = "lock";

/// A file that is written to see whether one can be.
const TRIAL: &str = "trial";

/// How the name of a file ends that holds webhooks.
const SEGMENT: &str = ".segment";

/// How a name ends of what holds bytes that can't be read; no ingest reads it again.
const DAMAGED: &str = ".damaged";

/// Why a directory can't be a spool's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the spool in {0} belongs to another ingest that is running: stop that one, or give this one \
         a directory of its own (BUZON_SPOOL_DIR)"
    )]
    Owned(PathBuf),
    /// It is not there and can't be made, or can't be written or read.
    #[error(
        "the spool's directory {0} can't be used ({1}): make it writable for this user, or set BUZON_SPOOL_DIR"
    )]
    Unusable(PathBuf, io::Error),
}

/// What a segment is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// Its place in the order in which they were begun.
    pub(super) number: u64,
    /// What its frames begin with.
    pub(super) mark: Mark,
}

impl Name {
    /// The name of a segment with this number and a mark that nobody knows yet.
    pub(super) fn new(number: u64) -> Self {
        // The standard library's way to randomness: each state has keys of its own.
        Self { number, mark: RandomState::new().hash_one(number).to_be_bytes() }
    }

    fn parse(file: &str) -> Option<Self> {
        let (number, mark) = file.strip_suffix(SEGMENT)?.split_once('-')?;
        let hex = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        Some(Self { number: hex(number)?, mark: hex(mark)?.to_be_bytes() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}{SEGMENT}", self.number, u64::from_be_bytes(self.mark))
    }
}

/// A directory that is ours alone as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The segments, the oldest first.
    pub(super) segments: Vec<Name>,
    /// How many bytes lie in damaged ones.
    pub(super) damaged_bytes: u64,
}

impl Directory {
    /// Makes it where it is not there, and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error| OpenError::Unusable(path.to_owned(), error);
        // What lies in it are people's words.
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock = options().create(true).truncate(false).open(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Owned(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        match directory.try_out() {
            // A full disk is no reason not to start: what lies here can still be drained.
            Err(error) if !is_full(&error) => Err(unusable(error)),
            _ => Ok(directory),
        }
    }

    /// Writes a little and takes it away again.
    pub(super) fn try_out(&self) -> io::Result<()> {
        let path = self.path.join(TRIAL);
        let tried = options().create(true).truncate(true).open(&path).and_then(|mut file| {
            io::Write::write_all(&mut file, &[0; 4096])?;
            file.sync_data()
        });
        tried.and(fs::remove_file(path))
    }

    /// What is in it.
    pub(super) fn contents(&self) -> io::Result<Contents> {
        let mut contents = Contents::default();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            if let Some(name) = Name::parse(file) {
                contents.segments.push(name);
            } else if file.ends_with(DAMAGED) {
                contents.damaged_bytes += entry.metadata()?.len();
            }
        }
        contents.segments.sort_unstable();
        Ok(contents)
    }

    /// Begins a segment, to be appended to. It is there after a power failure, too.
    pub(super) fn create(&self, name: Name) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(self.path_of(name))?;
        match File::open(&self.path).and_then(|directory| directory.sync_all()) {
            Ok(()) => Ok(file),
            Err(error) => {
                // Empty, it would only be in the way.
                let _ = self.remove(name);
                Err(error)
            }
        }
    }

    /// Where a segment is.
    pub(super) fn path_of(&self, name: Name) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// Takes a segment away. One that comes back after a power failure is drained once more.
    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        match fs::remove_file(self.path_of(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Keeps a segment for a person to look at.
    pub(super) fn set_aside(&self, name: Name) -> io::Result<()> {
        let path = self.path_of(name);
        fs::rename(&path, path.with_extension(DAMAGED.trim_start_matches('.')))
    }
}

/// Whether there is no room, as far as the system says so.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{super::tests::scratch, *};

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = Name::new(7);
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        assert_ne!(Name::new(7).mark, name.mark);
        for other in ["lock", "7-7.segment", "0000000000000007-000000000000000x.segment", "7.segment.damaged"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn there_is_one_owner_at_a_time() {
        let scratch = scratch();
        let path = scratch.join("made/too");
        let first = Directory::open(&path).unwrap();
        assert!(matches!(Directory::open(&path), Err(OpenError::Owned(_))));
        drop(first);
        Directory::open(&path).unwrap();
    }

    #[test]
    fn a_file_is_no_directory() {
        let scratch = scratch();
        let path = scratch.join("file");
        fs::write(&path, "").unwrap();
        let error = Directory::open(&path).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("set BUZON_SPOOL_DIR"), "{error}");
    }

    #[test]
    fn contents_are_in_order() {
        let scratch = scratch();
        let directory = Directory::open(&scratch).unwrap();
        let names = [3, 1, 2].map(Name::new);
        for name in names {
            directory.create(name).unwrap();
        }
        fs::write(directory.path_of(names[0]), "five.").unwrap();
        directory.set_aside(names[0]).unwrap();
        let contents = directory.contents().unwrap();
        assert_eq!(contents.segments, [names[1], names[2]]);
        assert_eq!(contents.damaged_bytes, 5);
    }
}
