//! What a simulator is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{dialect::Dialect, story::Line};

/// Settings of one simulator. `SimConfig::default()` suits a test: any free port, real time, no faults.
#[derive(Clone)]
pub struct SimConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Where webhooks go; none: they are recorded as skipped.
    pub webhook_url: Option<String>,
    /// Signs webhooks of the `kapso` kind; none or empty: they go unsigned.
    pub webhook_secret: Option<String>,
    /// Signs Meta-forwarded webhooks as `X-Hub-Signature-256` where set.
    pub meta_app_secret: Option<String>,
    /// The one key that the API takes; none or empty: any non-empty key.
    pub api_key: Option<String>,
    /// The shape of webhooks.
    pub dialect: Dialect,
    /// What every documented duration is multiplied by (0.01: a hundred times faster).
    pub time_scale: f64,
    /// The business number that this simulator plays.
    pub line: Line,
    /// Whether ids and numbers that were never seen are taken for known ones.
    pub lenient: bool,
    /// When statuses follow an accepted send.
    pub statuses: Statuses,
    /// Whether those statuses come in any order.
    pub shuffle: bool,
    /// Seeds chances (faults, duplicates, shuffling), never names.
    pub seed: u64,
    /// Chance (0 to 1) that a delivered webhook is delivered once more under the same key.
    pub duplicate_rate: f64,
    /// Calls that a key may make each minute; none: no limit. Kapso's plans have 100 to 2000.
    pub rate_limit: Option<u32>,
    /// Messages on one page of a listing at the most, however many are asked for; none: as many as Kapso's.
    pub page_at_most: Option<usize>,
    /// Whether a webhook that fails too much is paused, as third parties report.
    pub auto_pause: bool,
    /// How the `v2-batch` dialect gathers messages.
    pub buffering: Buffering,
    /// The scaled ten seconds that a receiver has are never less than this: a loaded test machine is no outage.
    pub timeout_floor: Duration,
    /// Webhooks in flight at once.
    pub max_in_flight: usize,
    /// Whether each listing signs the addresses of media anew. A guess: Kapso signs them, and does not say for how
    /// long.
    pub fresh_media_urls: bool,
    /// Whether a new conversation is announced by an event of its own.
    pub announce_conversations: bool,
}

/// When the statuses of an accepted send follow it, before scaling. None: that status never comes.
#[derive(Clone, Copy, Debug)]
pub struct Statuses {
    /// From the acceptance to `sent`.
    pub sent: Option<Duration>,
    /// From the acceptance to `delivered`.
    pub delivered: Option<Duration>,
    /// From the acceptance to `read`.
    pub read: Option<Duration>,
}

impl Statuses {
    /// No status ever follows.
    pub const NONE: Self = Self { sent: None, delivered: None, read: None };
}

impl Default for Statuses {
    fn default() -> Self {
        Self {
            sent: Some(Duration::from_millis(200)),
            delivered: Some(Duration::from_secs(1)),
            read: Some(Duration::from_secs(3)),
        }
    }
}

/// Kapso's buffering of received messages, per conversation (its documented defaults).
#[derive(Clone, Copy, Debug)]
pub struct Buffering {
    /// Silence after which a batch leaves (1 to 60 s with Kapso), before scaling.
    pub window: Duration,
    /// Messages at which a batch leaves at once (1 to 100 with Kapso).
    pub max_size: usize,
}

impl Default for Buffering {
    fn default() -> Self {
        Self { window: Duration::from_secs(5), max_size: 50 }
    }
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            webhook_url: None,
            webhook_secret: None,
            meta_app_secret: None,
            api_key: None,
            dialect: Dialect::Guide,
            time_scale: 1.0,
            line: Line::default(),
            lenient: false,
            statuses: Statuses::default(),
            shuffle: false,
            seed: 0,
            duplicate_rate: 0.0,
            rate_limit: None,
            page_at_most: None,
            auto_pause: false,
            buffering: Buffering::default(),
            timeout_floor: Duration::from_secs(3),
            max_in_flight: 64,
            fresh_media_urls: false,
            announce_conversations: false,
        }
    }
}
