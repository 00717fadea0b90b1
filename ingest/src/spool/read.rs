//! Reading a part of a segment from a disk that may fail.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

/// What the system says of a disk that can't read. Source: Linux, errno(3).
const EIO: i32 = 5;

/// What is read at once where the disk fails: a page. A bad sector costs the webhooks in it, and not those around it.
const BLOCK: usize = 4096;

/// Whether the disk could not read, and not the system for lack of something.
pub(super) fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
}

/// Reads so many bytes of a file.
///
/// # Errors
/// When that fails. A file that has fewer of them is read by [`readable`].
pub(super) fn whole(path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = begin(path, &range)?;
    match file.read_exact_at(&mut bytes, range.start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => readable(path, range),
        other => other.map(|()| bytes),
    }
}

/// Reads what the disk can read of them. The rest is zero, which no webhook begins with.
///
/// # Errors
/// When it fails for another reason than the disk.
pub(super) fn readable(path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = begin(path, &range)?;
    let (mut at, mut rest) = (range.start, bytes.as_mut_slice());
    while !rest.is_empty() {
        let to_the_end_of_its_page = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or_default();
        let (block, others) = rest.split_at_mut(to_the_end_of_its_page.min(rest.len()));
        match file.read_at(block, at) {
            // Fewer only where the file ends.
            Ok(_) => {}
            Err(error) if is_of_the_disk(&error) => block.fill(0),
            Err(error) => return Err(error),
        }
        (at, rest) = (at + block.len() as u64, others);
    }
    Ok(bytes)
}

fn begin(path: &Path, range: &Range<u64>) -> io::Result<(File, Vec<u8>)> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    Ok((File::open(path)?, vec![0; length]))
}
