//! Replies whose outcome nobody saw are settled by evidence.
//!
//! A reply is in doubt once its effect is `unknown`; one that is done and whose answer named no
//! message is looked for too, so that its message is nobody else's. Two loops work on them
//! (`effect_doubts`): one looks at what has been projected, wherever that came from, and settles
//! lane by lane ([`lane`], by what [`claim`] and [`decide`] say, both pure); the other asks Kapso's
//! listings ([`due`], [`listing`], [`ask`]), stores what it finds, and notes what is missing.
//!
//! Architecture invariant: a reply is only sent again when two whole listings, asked for by us
//! behind our deadline, lack it, and nothing that was projected by then is it.

mod ask;
mod claim;
mod decide;
mod doubts;
mod due;
mod lane;
mod listing;
mod settings;

use std::time::Duration;

use contract::broker::retry_pauses;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

pub(super) use decide::HORIZON;
pub use settings::Settle;

use self::{
    ask::{AskError, Asker},
    doubts::Lanes,
    lane::Settled,
    listing::CameTo,
};
use super::ApiKey;
use crate::{figures, kapso::Client, outage::in_time, store::Store, wake::before_next_look};

/// How often what is projected is looked at, and what is due to be asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often replies that were given up are looked at: nobody waits for them.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(60);

/// Settles replies until `stop`. Without a client nothing is asked, and nothing sent again.
pub async fn run(
    store: Store,
    client: Option<Client>,
    settings: Settle,
    calls_a_minute: std::num::NonZeroU32,
    stop: CancellationToken,
) {
    let asking = async {
        if let Some(client) = &client {
            let key = ApiKey::of(client, calls_a_minute);
            ask(&store, client, &key, settings, &stop).await;
        }
    };
    tokio::join!(look(&store, settings, &stop), asking);
}

/// Looks at what is projected, again and again.
async fn look(store: &Store, settings: Settle, stop: &CancellationToken) {
    let (mut pauses, nobody) = (retry_pauses(), Notify::new());
    let mut all_at = Instant::now();
    while !stop.is_cancelled() {
        let all = Instant::now() >= all_at;
        let pause = match look_once(store, settings, if all { Lanes::All } else { Lanes::Open }).await {
            Ok(()) => {
                if all {
                    all_at = Instant::now() + LOOK_AT_ALL_EVERY;
                }
                pauses = retry_pauses();
                None
            }
            Err(error) => {
                tracing::warn!(error = %error, "replies in doubt wait to be settled");
                pauses.next()
            }
        };
        before_next_look(stop, pause, &nobody, LOOK_EVERY).await;
    }
}

async fn look_once(store: &Store, settings: Settle, lanes: Lanes<'_>) -> sqlx::Result<()> {
    let (known, now) = in_time(async {
        let mut connection = store.pool.acquire().await?;
        doubts::keep(&mut connection).await?;
        doubts::look(&mut connection, lanes).await
    })
    .await?;
    let mut failed = None;
    for (lane, known) in &known {
        if lane::verdicts(known, settings.patience, now).is_empty() {
            continue;
        }
        // One that fails costs itself only.
        match in_time(lane::settle(&store.pool, lane, settings.patience)).await {
            Ok(settled) => settled.into_iter().for_each(|(effect, settled)| tell(effect, settled)),
            Err(error) => failed = Some(error),
        }
        // Its lane may go on.
        store.wake.outbox.notify_one();
    }
    failed.map_or(Ok(()), Err)
}

fn tell(effect: i64, settled: Settled) {
    let outcome = settled.name();
    figures::doubt_settled(outcome);
    if settled == Settled::GivenUp {
        tracing::warn!(effect.id = effect, "it is not known whether a reply went out, and it stays so");
    } else {
        tracing::info!(effect.id = effect, outcome, "a reply in doubt is settled");
    }
}

/// Asks for listings, again and again, one at a time.
async fn ask(store: &Store, client: &Client, key: &ApiKey, settings: Settle, stop: &CancellationToken) {
    let (mut pauses, nobody) = (retry_pauses(), Notify::new());
    while !stop.is_cancelled() {
        let token = format!("{:032x}", rand::random::<u128>());
        let asker = Asker { pool: &store.pool, client, key, token: &token, stop };
        let pause = match ask_once(store, &asker, settings).await {
            Ok(asked) => {
                pauses = retry_pauses();
                if asked {
                    continue;
                }
                None
            }
            Err(error) => {
                tracing::warn!(error = %error, "listings wait to be asked for");
                pauses.next()
            }
        };
        before_next_look(stop, pause, &nobody, LOOK_EVERY).await;
    }
}

/// Whether something was asked for, so that there may be more.
async fn ask_once(store: &Store, asker: &Asker<'_>, settings: Settle) -> Result<bool, AskError> {
    let Some(group) = in_time(due::take(&store.pool, asker.client.style(), asker.token)).await? else {
        return Ok(false);
    };
    let listed = listing::ask(store, asker, &group, settings.patience).await?;
    figures::doubts_listed(listed.name());
    Ok(listed != CameTo::PutOff)
}
