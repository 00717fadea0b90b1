//! Webhooks on their way: signed, in order where Kapso keeps one, retried as Kapso retries.

mod buffer;
mod lanes;
mod log;
mod pause;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::RngExt as _;
use tokio::time::Instant;

use self::lanes::Turn;
pub use self::log::{Attempt, Delivery, DeliveryState};
pub(crate) use self::{buffer::Buffers, lanes::Lanes, log::Log, pause::Breaker};
use crate::{
    clock,
    dialect::{self, Dialect, Secrets, Webhook},
    ids,
    story::Event,
    world::World,
};

/// Kapso's waits before each attempt: at once, then after 10, 40 and 90 seconds.
const WAITS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(40), Duration::from_secs(90)];
/// What a receiver has to answer 200.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a later message waits for an earlier one of its conversation.
const ORDER_CAP: Duration = Duration::from_secs(30);

/// A webhook with what its delivery needs to know.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub(crate) webhook: Webhook,
    pub(crate) key: String,
    /// The conversation in whose order it stands; none: it is in nobody's way.
    pub(crate) lane: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) message_ids: Vec<String>,
    /// What a batch falls back to.
    pub(crate) singles: Vec<Parcel>,
    /// The delivery that this one repeats or falls back from.
    pub(crate) origin: Option<u64>,
    pub(crate) duplicates: u32,
    /// It never leaves.
    pub(crate) lost: bool,
    /// Headers that replace those of the dialect, or add to them.
    pub(crate) headers: Vec<(String, String)>,
    /// Signs in place of the configured secrets.
    pub(crate) secret: Option<String>,
    /// The webhook that it goes by, with its address; none: the number's first.
    pub(crate) by: Option<(String, String)>,
}

impl Parcel {
    /// `event` in `dialect`, unbatched; none where the dialect has no word for it.
    pub(crate) fn of(world: &World, dialect: Dialect, event: &Event) -> Option<Self> {
        let webhook = dialect::webhook(dialect, &world.config.line, event)?;
        let conversation_id = event.conversation_id().map(str::to_owned);
        Some(Self {
            lane: conversation_id.clone().filter(|_| event.is_ordered()),
            conversation_id,
            message_ids: event.message_ids(),
            ..Self::raw(webhook)
        })
    }

    /// A webhook that belongs to no conversation.
    pub(crate) fn raw(webhook: Webhook) -> Self {
        Self {
            webhook,
            key: ids::uuid(),
            lane: None,
            conversation_id: None,
            message_ids: Vec::new(),
            singles: Vec::new(),
            origin: None,
            duplicates: 0,
            lost: false,
            headers: Vec::new(),
            secret: None,
            by: None,
        }
    }
}

/// Puts a parcel on its way; gives the number of its delivery.
pub(crate) fn dispatch(world: &Arc<World>, parcel: Parcel) -> u64 {
    let number = world.log().open(&parcel);
    let turn = parcel.lane.as_deref().map(|lane| world.lanes().enter(lane));
    let runner = Arc::clone(world);
    world.spawn(async move { run(runner, number, parcel, turn).await });
    number
}

/// Puts an event on its way in `dialect`, through the buffer where that has one.
pub(crate) fn tell(world: &Arc<World>, dialect: Dialect, event: &Event, duplicates: u32) {
    tell_or_lose(world, dialect, event, duplicates, false);
}

/// As [`tell`]; what is lost is written down, never leaves by itself, and can be repeated.
pub(crate) fn tell_or_lose(world: &Arc<World>, dialect: Dialect, event: &Event, duplicates: u32, lost: bool) {
    if !lost {
        tell_others(world, event);
    }
    let Some(mut parcel) = Parcel::of(world, dialect, event) else {
        tracing::debug!(%dialect, "the dialect has no word for this event");
        return;
    };
    if !world.subscription().wants(dialect, &parcel.webhook.kind) {
        tracing::debug!(event.kind = parcel.webhook.kind, "the webhook is not registered for this kind");
        return;
    }
    parcel.duplicates = duplicates;
    parcel.lost = lost;
    if dialect == Dialect::V2Batch && !lost && matches!(event.fact, crate::story::Fact::Received(_)) {
        buffer::push(world, event, parcel);
    } else {
        dispatch(world, parcel);
    }
}

/// Tells the number's other webhooks, each in its shape and signed with its secret.
fn tell_others(world: &Arc<World>, event: &Event) {
    let others = world.others().clone();
    for other in others.into_iter().filter(|other| other.active) {
        let Some(mut parcel) = Parcel::of(world, other.dialect, event) else { continue };
        if !other.wants(other.dialect, &parcel.webhook.kind) {
            continue;
        }
        parcel.by = other.url.map(|url| (other.id, url));
        parcel.secret = other.secret;
        parcel.lane = None;
        dispatch(world, parcel);
    }
}

async fn run(world: Arc<World>, number: u64, parcel: Parcel, turn: Option<Turn>) {
    if let Some(turn) = &turn {
        turn.wait(world.scale.of(ORDER_CAP)).await;
    }
    let state = attempts(&world, number, &parcel).await;
    world.log().close(number, state);
    // Whatever waits behind this one goes on: it was delivered, or has been waited for longer than the cap.
    drop(turn);
    match state {
        DeliveryState::Delivered => duplicate(&world, number, parcel),
        DeliveryState::Failed => {
            for mut single in parcel.singles {
                single.origin = Some(number);
                dispatch(&world, single);
            }
        }
        DeliveryState::Pending | DeliveryState::Skipped => {}
    }
}

/// Delivers again what is to come more than once, under the same key.
fn duplicate(world: &Arc<World>, number: u64, parcel: Parcel) {
    let by_chance = world.rng().random_bool(world.config.duplicate_rate.clamp(0.0, 1.0));
    let again = parcel.duplicates + u32::from(by_chance && parcel.origin.is_none());
    for _ in 0..again {
        dispatch(world, Parcel { duplicates: 0, lane: None, origin: Some(number), ..parcel.clone() });
    }
}

async fn attempts(world: &World, number: u64, parcel: &Parcel) -> DeliveryState {
    if parcel.lost {
        return DeliveryState::Skipped;
    }
    for (tried, wait) in (1..).zip(WAITS) {
        tokio::time::sleep(world.scale.of(wait)).await;
        if parcel.by.is_none() && world.breaker().is_open() {
            tracing::warn!(event.kind = parcel.webhook.kind, "webhook is paused: not delivered");
            return if tried == 1 { DeliveryState::Skipped } else { DeliveryState::Failed };
        }
        let by = parcel.by.as_ref().map(|(_, url)| url.clone());
        let Some(url) = by.or_else(|| world.webhook_url()) else {
            return DeliveryState::Skipped;
        };
        let attempt = attempt(world, tried, parcel, &url).await;
        let delivered = attempt.status == Some(200);
        tracing::info!(
            event.kind = parcel.webhook.kind,
            webhook.key = parcel.key,
            webhook.attempt = tried,
            http.status = attempt.status,
            error = attempt.error,
            latency_ms = attempt.latency_ms,
            "webhook {}",
            if delivered { "delivered" } else { "not delivered" }
        );
        world.log().add(number, attempt);
        let is_paused = parcel.by.is_none() && world.breaker().count(delivered, std::time::Instant::now());
        if is_paused {
            world.subscription().touch();
        }
        if delivered {
            return DeliveryState::Delivered;
        }
    }
    DeliveryState::Failed
}

async fn attempt(world: &World, number: u32, parcel: &Parcel, url: &str) -> Attempt {
    // A closed semaphore would mean that the simulator is stopping: nothing is left to hold back then.
    let _slot = world.slots.acquire().await;
    let at = clock::now();
    let started = Instant::now();
    let answer = post(world, parcel, url).await;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, body, error) = match answer {
        Ok((status, body)) => (Some(status), Some(String::from_utf8_lossy(&body).into_owned()), None),
        Err(error) => (None, None, Some(describe(error))),
    };
    Attempt { number, at: clock::iso_micros(at), status, answer: body, error, latency_ms }
}

async fn post(world: &World, parcel: &Parcel, url: &str) -> Result<(u16, Bytes), reqwest::Error> {
    let patience = world.scale.of(PATIENCE).max(world.config.timeout_floor);
    let secrets = match &parcel.secret {
        Some(secret) => Secrets { webhook: Some(secret.clone()), meta_app: None },
        None => world.secrets(),
    };
    let mut request = world.client.post(url).timeout(patience).body(parcel.webhook.body.clone());
    for (name, value) in parcel.webhook.headers(&parcel.key, &secrets) {
        if !parcel.headers.iter().any(|(replaced, _)| replaced.eq_ignore_ascii_case(name)) {
            request = request.header(name, value);
        }
    }
    for (name, value) in parcel.headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(name, value);
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?))
}

fn describe(error: reqwest::Error) -> String {
    use std::error::Error as _;

    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
