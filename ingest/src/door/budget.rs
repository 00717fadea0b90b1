//! A budget of body bytes over all requests, so that many large bodies at once end in 503
//! and not in an exhausted memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use metrics::Gauge;

/// How many bytes may be held, and how many are.
#[derive(Clone)]
pub(super) struct Budget {
    left: Arc<AtomicUsize>,
    gauge: Gauge,
}

impl Budget {
    pub(super) fn new(bytes: usize, gauge: Gauge) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)), gauge }
    }

    /// A permit for nothing yet.
    pub(super) fn permit(&self) -> Permit {
        Permit { budget: self.clone(), bytes: 0 }
    }
}

/// Bytes taken from the budget; dropping it gives them back, whatever becomes of the request.
pub(super) struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Permit {
    /// Takes more bytes, or none at all when there are not that many left.
    #[must_use]
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        // The figure alone matters, no other memory is published with it.
        let taken = self
            .budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .is_ok();
        if taken {
            self.bytes += bytes;
            self.budget.gauge.increment(bytes as f64);
        }
        taken
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
        self.budget.gauge.decrement(self.bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_comes_back_when_it_is_dropped() {
        let budget = Budget::new(10, Gauge::noop());
        let (mut one, mut other) = (budget.permit(), budget.permit());
        assert!(one.grow(6));
        assert!(!other.grow(5));
        assert!(other.grow(4));
        drop(one);
        assert!(other.grow(6));
        assert!(!other.grow(1));
    }
}
