//! Records in a segment, each in a frame by which a reader finds and checks it.
//!
//! ```text
//! the segment's mark (8) │ the record's length (4) │ CRC-32 of length and record (4) │ record
//! ```
//!
//! The mark is drawn for each segment and stands in its file's name. After damage a reader
//! looks for the next mark; nobody who sends webhooks can know it, so that no body can pass
//! for a record.

use std::ops::Range;

use contract::envelope::Envelope;

use super::record;

/// What every frame of a segment begins with.
pub(super) type Mark = [u8; 8];

/// What stands before a record, in bytes.
const HEAD: usize = 16;

/// A webhook's frame; its mark is set by [`stamp`], when its segment is known.
pub(super) fn of(envelope: &Envelope) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + 256 + envelope.body.len());
    frame.resize(HEAD, 0);
    record::write(envelope, &mut frame);
    // A body is limited far below 4 GiB.
    let length = u32::try_from(frame.len() - HEAD).unwrap_or(u32::MAX).to_be_bytes();
    let sum = checksum(length, frame.get(HEAD..).unwrap_or_default());
    frame.splice(8..HEAD, length.into_iter().chain(sum));
    frame
}

/// Makes a frame one of the segment with this mark.
pub(super) fn stamp(frame: &mut Vec<u8>, mark: Mark) {
    frame.splice(..mark.len(), mark);
}

/// What a reader comes upon, in order, by its place among the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record that is what was written.
    Record(Range<usize>),
    /// Bytes that are not what was written.
    Damage(Range<usize>),
    /// The beginning of a frame, to the end: where a write was cut off.
    Torn(Range<usize>),
}

/// Reads frames from `bytes`, which must begin where a frame does.
pub(super) fn read(bytes: &[u8], mark: Mark) -> impl Iterator<Item = Found> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == bytes.len() {
            return None;
        }
        let from = at;
        if let Some(record) = record_at(bytes, from, mark) {
            at = record.end;
            return Some(Found::Record(record));
        }
        let next = (from + 1..bytes.len()).find(|at| record_at(bytes, *at, mark).is_some());
        at = next.unwrap_or(bytes.len());
        let torn = next.is_none() && is_cut_off(bytes.get(from..).unwrap_or_default(), mark);
        Some(if torn { Found::Torn(from..at) } else { Found::Damage(from..at) })
    })
}

/// Whether a frame was begun here and not finished. After a power failure a file can also
/// have grown by bytes that were never filled in.
fn is_cut_off(rest: &[u8], mark: Mark) -> bool {
    let Some((head, record)) = rest.split_first_chunk::<HEAD>() else { return true };
    let [a, b, c, d] = [head[8], head[9], head[10], head[11]];
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    (head.starts_with(&mark) && length > record.len()) || rest.iter().all(|byte| *byte == 0)
}

/// Where the record is whose frame begins at `at`, if one does.
fn record_at(bytes: &[u8], at: usize, mark: Mark) -> Option<Range<usize>> {
    let (found, rest) = bytes.get(at..)?.split_first_chunk::<8>()?;
    if *found != mark {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let record = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (checksum(*length, record) == *sum).then(|| at + HEAD..at + HEAD + record.len())
}

fn checksum(length: [u8; 4], record: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(record);
    sum.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::webhook, *};

    const MARK: Mark = *b"a mark..";

    /// Three frames, and where each begins and the last ends.
    fn three() -> (Vec<u8>, [usize; 4]) {
        let (mut bytes, mut at) = (Vec::new(), [0; 4]);
        for (nth, body) in [&b"first"[..], b"", b"the third"].into_iter().enumerate() {
            let mut frame = of(&webhook(body));
            stamp(&mut frame, MARK);
            bytes.extend(frame);
            at[nth + 1] = bytes.len();
        }
        (bytes, at)
    }

    fn all(bytes: &[u8]) -> Vec<Found> {
        read(bytes, MARK).collect()
    }

    fn record(from: usize, to: usize) -> Found {
        Found::Record(from + HEAD..to)
    }

    #[test]
    fn frames_are_found_in_order() {
        let (bytes, [a, b, c, d]) = three();
        assert_eq!(all(&bytes), [record(a, b), record(b, c), record(c, d)]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn cut_off_anywhere_the_whole_frames_before_are_found() {
        let (bytes, [a, b, c, d]) = three();
        for end in 0..d {
            let mut expected = vec![record(a, b), record(b, c)];
            expected.truncate(usize::from(end >= b) + usize::from(end >= c));
            let whole = [a, b, c].into_iter().rfind(|at| *at <= end).unwrap_or_default();
            if whole < end {
                expected.push(Found::Torn(whole..end));
            }
            assert_eq!(all(&bytes[..end]), expected, "cut at {end}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_its_own_record_only() {
        let (bytes, [a, b, c, d]) = three();
        for at in 0..d {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let expected = match at {
                    _ if at < b => [Found::Damage(a..b), record(b, c), record(c, d)],
                    _ if at < c => [record(a, b), Found::Damage(b..c), record(c, d)],
                    // The last one's length: when it grows, nothing tells this from a write cut off.
                    _ if (c + 8..c + 12).contains(&at) && bytes[at] > three().0[at] => {
                        [record(a, b), record(b, c), Found::Torn(c..d)]
                    }
                    _ => [record(a, b), record(b, c), Found::Damage(c..d)],
                };
                assert_eq!(all(&bytes), expected, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_body_can_not_pass_for_a_record() {
        // A whole frame within a body whose own frame is damaged, with another segment's mark.
        let mut inner = of(&webhook(b"forged"));
        stamp(&mut inner, *b"another.");
        let mut outer = of(&webhook(&inner));
        stamp(&mut outer, MARK);
        outer[20] ^= 1;
        assert_eq!(all(&outer), [Found::Damage(0..outer.len())]);
    }

    #[test]
    fn what_was_never_filled_in_is_no_damage() {
        let (mut bytes, [.., d]) = three();
        bytes.resize(d + 4096, 0);
        assert_eq!(all(&bytes).last(), Some(&Found::Torn(d..d + 4096)));
    }

    /// A small generator with a fixed seed: the same rubbish each time.
    #[test]
    fn rubbish_is_read_over() {
        let (three, _) = three();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 40).unwrap_or_default()
        };
        for _ in 0..20_000 {
            let mut bytes = three.clone();
            for _ in 0..next() % 8 {
                let (at, length) = (next() % bytes.len(), next() % 40);
                let to = (at + length).min(bytes.len());
                match next() % 4 {
                    0 => bytes.truncate(at.max(1)),
                    1 => drop(bytes.drain(at..to)),
                    2 => bytes[at..to].fill(next().to_be_bytes()[7]),
                    _ => bytes.extend_from_within(at..to),
                }
                bytes.push(0);
            }
            // It covers everything, in order, and whatever it calls a record is one of the three.
            let mut end = 0;
            for found in read(&bytes, MARK) {
                let (from, to) = match found {
                    Found::Record(range) => {
                        assert!(three.windows(range.len()).any(|part| part == &bytes[range.clone()]));
                        (range.start - HEAD, range.end)
                    }
                    Found::Damage(range) | Found::Torn(range) => (range.start, range.end),
                };
                assert_eq!(from, end);
                assert!(to > from);
                end = to;
            }
            assert_eq!(end, bytes.len());
        }
    }
}
