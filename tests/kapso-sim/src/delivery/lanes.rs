//! Order within a conversation: a later webhook waits for the earlier one, but not for ever.

use std::{collections::HashMap, time::Duration};

use tokio_util::sync::{CancellationToken, DropGuard};

/// The last webhook of each conversation.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    last: HashMap<String, CancellationToken>,
}

/// A place in a lane; dropping it lets the next one go.
#[derive(Debug)]
pub(crate) struct Turn {
    before: Option<CancellationToken>,
    _after: DropGuard,
}

impl Lanes {
    /// Queues behind whatever entered this lane last.
    pub(crate) fn enter(&mut self, lane: &str) -> Turn {
        let mine = CancellationToken::new();
        let before = self.last.insert(lane.to_owned(), mine.clone());
        Turn { before, _after: mine.drop_guard() }
    }
}

impl Turn {
    /// Waits for the one before, at most for `cap`: then out of order is allowed.
    pub(crate) async fn wait(&self, cap: Duration) {
        if let Some(before) = &self.before {
            // Either way it is our turn now.
            let _in_order = tokio::time::timeout(cap, before.cancelled()).await.is_ok();
        }
    }
}
