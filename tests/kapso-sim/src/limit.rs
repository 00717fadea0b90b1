//! Kapso's rate limit: so many calls for each key in a fixed minute.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::reply::Reply;

/// The documented window.
const WINDOW: Duration = Duration::from_mins(1);

/// Counts calls by key.
#[derive(Debug)]
pub(crate) struct Limiter {
    window: Duration,
    seen: HashMap<String, (Instant, u32)>,
}

impl Limiter {
    pub(crate) fn new(scale: crate::clock::Scale) -> Self {
        Self { window: scale.of(WINDOW), seen: HashMap::new() }
    }

    /// Takes one call of `key` at `now`: the headers that its answer carries, or a 429 with the same headers.
    pub(crate) fn take(
        &mut self,
        key: &str,
        limit: u32,
        now: Instant,
    ) -> (Vec<(&'static str, String)>, Option<Reply>) {
        let (since, count) = self.seen.entry(key.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= self.window {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        let headers = vec![
            ("X-RateLimit-Limit", limit.to_string()),
            ("X-RateLimit-Remaining", limit.saturating_sub(*count).to_string()),
        ];
        // Kapso always says 60, however much of the minute is left; at least 1, as the header has whole seconds.
        let wait = self.window.as_secs().max(1);
        let refusal = (*count > limit).then(|| Reply::rate_limited(wait));
        (headers, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Scale;

    #[test]
    fn refuses_the_third_of_two_until_the_window_ends() {
        let mut limiter = Limiter::new(Scale::new(1.0));
        let start = Instant::now();
        assert!(limiter.take("k", 2, start).1.is_none());
        assert_eq!(limiter.take("k", 2, start).0[1].1, "0");
        let refusal = limiter.take("k", 2, start).1;
        assert!(
            refusal.is_some_and(
                |reply| reply.status == 429 && reply.headers == [("Retry-After", "60".to_owned())]
            )
        );
        assert!(limiter.take("another", 2, start).1.is_none());
        assert!(limiter.take("k", 2, start + WINDOW).1.is_none());
    }
}
