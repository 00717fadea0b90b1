//! Which way a webhook goes: straight to the broker, or into the spool.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use contract::nag::Nag;

use crate::{figures::Figures, publish::Unconfirmed};

/// The way, for all requests at once. Requests leave the direct way when the broker fails
/// them; it is open again when the broker has shown that it is well: to the drainer, or to a request
/// that the spool did not take.
#[derive(Clone)]
pub(super) struct Way(Arc<Inner>);

struct Inner {
    spooling: AtomicBool,
    nag: Mutex<Nag>,
    figures: Figures,
}

impl Way {
    pub(super) fn new(figures: Figures) -> Self {
        Self(Arc::new(Inner { spooling: AtomicBool::new(false), nag: Mutex::default(), figures }))
    }

    pub(super) fn is_direct(&self) -> bool {
        // Advice, and nothing else hangs on it: whoever sees it late takes the other way.
        !self.0.spooling.load(Ordering::Relaxed)
    }

    /// The broker failed a request.
    pub(super) fn leave(&self, why: Unconfirmed) {
        if self.0.spooling.swap(true, Ordering::Relaxed) {
            return;
        }
        self.0.figures.spooling(true);
        let mut nag = self.0.nag.lock().unwrap_or_else(PoisonError::into_inner);
        if nag.is_due(why.label(), Instant::now()) {
            tracing::warn!(reason = %why, "webhooks go into the spool");
        }
    }

    /// The broker is well.
    pub(super) fn open(&self) {
        if self.0.spooling.swap(false, Ordering::Relaxed) {
            self.0.figures.spooling(false);
            tracing::info!("webhooks go straight to RabbitMQ again");
        }
    }
}
