//! Whether the queue is a backlog: long at several looks in a row, and no shorter at the last
//! than at the first. A burst that the workers are getting through is none. Pure.

use super::Verdict;

/// So many looks in a row; with one a minute, four minutes.
const LOOKS: usize = 5;

/// The lengths to be kept, with this one.
pub(super) fn with(mut seen: Vec<u32>, now: u32) -> Vec<u32> {
    seen.push(now);
    seen.split_off(seen.len().saturating_sub(LOOKS))
}

/// What they say. Raised once, it is over when the queue is short, not when it shrinks.
pub(super) fn judge(seen: &[u32], limit: u32) -> Verdict {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Verdict::Unknown };
    if *last < limit {
        return Verdict::Fine;
    }
    if seen.len() < LOOKS || seen.iter().any(|length| *length < limit) || last < first {
        return Verdict::Unknown;
    }
    Verdict::Raised(format!(
        "{last} webhooks wait in the queue, and they do not get fewer: look at the workers' logs for what holds \
         them up, or start more of them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(seen: &[u32]) -> Option<bool> {
        match judge(seen, 100) {
            Verdict::Fine => Some(false),
            Verdict::Raised(_) => Some(true),
            Verdict::Unknown => None,
        }
    }

    #[test]
    fn long_for_some_time_and_not_shrinking() {
        assert_eq!(raised(&[100, 200, 300, 400, 500]), Some(true));
        assert_eq!(raised(&[500, 500, 500, 500, 500]), Some(true));
        // Neither a burst, nor one that is being worked off, nor the first looks.
        assert_eq!(raised(&[0, 200, 300, 400, 500]), None);
        assert_eq!(raised(&[500, 400, 300, 200, 100]), None);
        assert_eq!(raised(&[500, 600]), None);
        assert_eq!(raised(&[500, 500, 500, 500, 99]), Some(false));
        assert_eq!(raised(&[]), None);
    }

    #[test]
    fn the_last_looks_are_kept() {
        let seen = (1..=7).fold(Vec::new(), with);
        assert_eq!(seen, [3, 4, 5, 6, 7]);
    }
}
