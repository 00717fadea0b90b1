//! The dispatcher: lease, perform, record.
//!
//! Leasing gathers by pace: the first lease after a pause is taken at once, the next one a few
//! milliseconds later, with whatever has become due in the meantime. Recording gathers by itself
//! ([`super::recorder`]).

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use contract::broker::retry_pauses;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ApiKey, EffectKind,
    lease::{self, Leased, Wanted},
    outcome::{Outcome, judge},
    record::Ended,
    recorder::{Recorder, Slots},
    sweep::sweep,
};
use crate::{
    figures,
    kapso::{Answer, Client, REQUEST_TIMEOUT, Target},
    outage::{Outages, in_time},
    store::Store,
    wake::before_next_look,
};

/// How many requests a worker has under way at the most. What it may do to Kapso, the limit of
/// calls says; this is room enough for conversations that are answered slowly: 1,000 effects a
/// second of which each takes 100 ms to be answered, and as long again to be leased and recorded.
pub(super) const AT_ONCE: usize = 256;

/// How many of them may be second attempts or later: what fails leaves room for what does not.
const RETRIES_AT_ONCE: usize = AT_ONCE / 2;

/// How often what other workers owe, and what has become due, is looked for; and what time
/// alone settles.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// From one lease to the next it waits for this many times as long as the first one took: each costs eight round trips
/// and the key's lock, whether it takes one effect or all that are due. So the busier the database is, the more are
/// leased at once.
const PAUSE_PER_LEASE: u32 = 2;

/// And no longer than this.
const PAUSE_AT_MOST: Duration = Duration::from_millis(20);

/// Performs effects.
struct Dispatcher {
    store: Store,
    client: Client,
    key: ApiKey,
    slots: Arc<Semaphore>,
    retries: Arc<Semaphore>,
    under_way: TaskTracker,
    ended: mpsc::Sender<(Ended, Slots)>,
    /// When time's own matters were last seen to.
    swept: Option<Instant>,
    /// The token of a lease that was not confirmed.
    unconfirmed: Option<String>,
}

/// Performs effects until `stop`, and then finishes those under way.
pub async fn run(
    store: Store,
    client: Client,
    calls_a_minute: NonZeroU32,
    outages: Outages,
    stop: CancellationToken,
) {
    let key = ApiKey::of(&client, calls_a_minute);
    let recorder =
        Recorder { store: store.clone(), key: key.clone(), met: outages.met_by("recorder of outcomes") };
    let (ended, to_record) = mpsc::channel(AT_ONCE);
    let dispatcher = Dispatcher {
        store,
        client,
        key,
        slots: Arc::new(Semaphore::new(AT_ONCE)),
        retries: Arc::new(Semaphore::new(RETRIES_AT_ONCE)),
        under_way: TaskTracker::new(),
        ended,
        swept: None,
        unconfirmed: None,
    };
    tokio::join!(dispatcher.run(outages, stop), recorder.run(to_record));
}

impl Dispatcher {
    async fn run(mut self, outages: Outages, stop: CancellationToken) {
        let mut met = outages.met_by("dispatcher");
        while !stop.is_cancelled() {
            let began = Instant::now();
            let dispatched = self.dispatch().await;
            let pause = (began.elapsed() * PAUSE_PER_LEASE).min(PAUSE_AT_MOST);
            let next = Instant::now() + pause;
            match dispatched {
                // Perhaps more is due.
                Ok(1..) => met.works(),
                Ok(0) => {
                    met.works();
                    before_next_look(&stop, None, &self.store.wake.outbox, LOOK_EVERY).await;
                }
                Err(error) => {
                    // What it writes when all is well proves that the outage is over.
                    self.swept = None;
                    let pause = Some(met.failed(&error));
                    before_next_look(&stop, pause, &self.store.wake.outbox, LOOK_EVERY).await;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(next) => {}
            }
        }
        self.finish().await;
    }

    /// Starts what is due, allowed, and has a slot; how much that was.
    async fn dispatch(&mut self) -> sqlx::Result<usize> {
        self.give_back().await?;
        if self.swept.is_none_or(|last| last.elapsed() >= LOOK_EVERY) {
            in_time(sweep(&self.store.pool)).await?;
            self.swept = Some(Instant::now());
        }
        let free = |slots: &Semaphore| i64::try_from(slots.available_permits()).unwrap_or(0);
        let room = free(&self.slots);
        if room == 0 {
            return Ok(0);
        }
        let token = format!("{:032x}", rand::random::<u128>());
        let policy = self.store.policy();
        let wanted = Wanted {
            key: &self.key,
            room,
            retries: free(&self.retries),
            guard: policy.book.guard,
            takeover_pause: policy.book.takeover_pause,
            style: self.client.style(),
            token: &token,
        };
        let leased = match in_time(lease::take(&self.store.pool, &wanted)).await {
            Ok(leased) => leased,
            Err(error) => {
                self.unconfirmed = Some(token);
                return Err(error);
            }
        };
        let count = leased.len();
        for effect in leased {
            self.start(effect);
        }
        Ok(count)
    }

    /// Lets one effect's request leave. Only the dispatcher's loop takes permits, and it has
    /// just counted the free ones.
    fn start(&self, effect: Leased) {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let retry =
            (effect.attempt > 1).then(|| Arc::clone(&self.retries).try_acquire_owned().ok()).flatten();
        let (client, to_record) = (self.client.clone(), self.ended.clone());
        self.under_way.spawn(async move {
            let ended = perform(&client, effect).await;
            // The recorder ends after the last of these.
            drop(to_record.send((ended, (slot, retry))).await);
        });
    }

    /// Gives back what a lease that was not confirmed may have taken.
    async fn give_back(&mut self) -> sqlx::Result<()> {
        let Some(token) = &self.unconfirmed else { return Ok(()) };
        let count = in_time(lease::give_back(&self.store.pool, &self.key, token)).await?;
        if count > 0 {
            tracing::info!(count, "effects were leased without our knowing, and are given back");
        }
        self.unconfirmed = None;
        Ok(())
    }

    /// Finishes what is under way. The recorder ends with the last of it.
    async fn finish(mut self) {
        let mut pauses = retry_pauses();
        while let Err(error) = self.give_back().await {
            tracing::warn!(error = %error, "a lease waits to be given back");
            sleep(pauses.next().unwrap_or_default()).await;
        }
        self.under_way.close();
        self.under_way.wait().await;
    }
}

/// One attempt: its request, and what the answer means.
async fn perform(client: &Client, effect: Leased) -> Ended {
    let answer = if effect.left() > REQUEST_TIMEOUT {
        request(client, &effect).await
    } else {
        Answer::NotAsked("the lease was too short for a request".to_owned())
    };
    let (outcome, standing) = judge(effect.kind, effect.attempt, &answer, rand::random());
    figures::effect_attempted(effect.kind.name(), outcome.name());
    match &outcome {
        Outcome::Done(_) => {
            tracing::info!(effect.id, effect.kind = effect.kind.name(), effect.attempt, "done");
        }
        Outcome::Again(_, why) | Outcome::Discarded(why) | Outcome::Unknown(why) => {
            let (kind, outcome) = (effect.kind.name(), outcome.name());
            tracing::warn!(effect.id, effect.kind = kind, effect.attempt, outcome, why, "not done");
        }
    }
    Ended { effect, http_status: answer.status(), outcome, standing }
}

/// What can't be addressed is refused when it is owed; it would not be sent here either.
async fn request(client: &Client, effect: &Leased) -> Answer {
    let target = Target {
        message_id: &effect.message_id,
        kapso_message_id: effect.kapso_message_id.as_deref(),
        conversation_id: effect.conversation_id.as_deref(),
        phone_number_id: effect.phone_number_id.as_deref(),
        recipient: effect.recipient.as_deref(),
    };
    match (effect.kind, &effect.body) {
        (EffectKind::SendText, Some(text)) => client.send_text(effect.id, target, text).await,
        (EffectKind::SendText, None) => Answer::NotAsked("the effect has no text".to_owned()),
        (EffectKind::MarkRead, _) => client.mark_read(target).await,
    }
}
