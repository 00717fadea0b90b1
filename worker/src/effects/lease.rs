//! Choosing what to perform next, and leasing it.
//!
//! The key's row is locked first: what it allows is decided for one dispatcher at a time
//! ([`super::hold`]). Then a lane's row is locked while its next effect is chosen, so that two
//! dispatchers never perform two effects of one lane at once. Lease and attempt are committed
//! together, before any request leaves.

use std::time::{Duration, Instant};

use super::{
    EffectKind, LoopGuard,
    api_key::{self, ApiKey},
    choose::{Row, Share, choose},
    hold::{Allowed, Key},
    way::Way,
};
use crate::{
    figures,
    kapso::{ApiStyle, REQUEST_TIMEOUT},
};
use sqlx::PgPool;
use time::OffsetDateTime;

/// How long a dispatcher has for one attempt. More than twice the time-out of a request.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long it has for a probe: enough for its request to time out. While it lasts nothing else
/// leaves, also where the prober was killed.
pub(super) const PROBE_LEASE: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(3));

/// What a dispatcher asks for.
pub(super) struct Wanted<'a> {
    /// The key that it calls with.
    pub(super) key: &'a ApiKey,
    /// How many effects it has room for.
    pub(super) room: i64,
    /// How many of them may be second attempts or later.
    pub(super) retries: i64,
    /// How many replies a lane may have.
    pub(super) guard: LoopGuard,
    /// For how long a takeover pauses a lane.
    pub(super) takeover_pause: time::Duration,
    /// The style of the API that is configured.
    pub(super) style: ApiStyle,
    /// Whose lease it is: unlike any other, so that it can be given back.
    pub(super) token: &'a str,
}

/// An effect that is ours to perform, until its lease runs out.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) id: i64,
    pub(super) kind: EffectKind,
    pub(super) message_id: String,
    pub(super) kapso_message_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) body: Option<String>,
    /// Which attempt this is, counted from 1.
    pub(super) attempt: i32,
    /// Whose lease it is.
    pub(super) token: String,
    /// By which API it goes.
    pub(super) way: Way,
    /// When the lease began, at the latest.
    since: Instant,
    /// How long it is.
    lease: Duration,
}

impl Leased {
    /// How much of the lease is left.
    pub(super) fn left(&self) -> Duration {
        self.lease.saturating_sub(self.since.elapsed())
    }
}

/// Leases effects, each of another lane, as many as there is room for and the key allows.
///
/// After an error nobody knows whether they are leased: see [`give_back`].
pub(super) async fn take(pool: &PgPool, wanted: &Wanted<'_>) -> sqlx::Result<Vec<Leased>> {
    if !is_worth_it(pool, wanted.key).await? {
        return Ok(Vec::new());
    }
    let since = Instant::now();
    let mut tx = pool.begin().await?;
    let mut keys = api_key::lock_all(&mut tx, wanted.key).await?;
    let (now, calls) = api_key::calls_lately(&mut tx).await?;
    let mut taken = Taken { calls, leaves_half: keys.len() > 1 && rand::random(), ..Taken::default() };
    let mut leased = Vec::new();
    for place in 0..keys.len() {
        let Some(share) = share(&keys, place, now, &taken, wanted) else { continue };
        let rows = choose(&mut tx, &share, wanted).await?;
        if let Some((_, id, key)) = keys.get_mut(place).filter(|_| share.probe && !rows.is_empty()) {
            key.probe = Some((wanted.token.to_owned(), now + share.lease()));
            api_key::save(&mut tx, id, key).await?;
        }
        taken.add(&rows);
        leased.extend(rows.into_iter().filter_map(|row| Leased::of(row, &share, wanted.token, since)));
    }
    tx.commit().await?;
    Ok(leased)
}

/// What has been leased of what is wanted and allowed.
#[derive(Default)]
struct Taken {
    /// How many calls have left within the last minute, these included.
    calls: i64,
    effects: i64,
    retries: i64,
    /// Whether the first way leaves half of what marks may have to the other: it has its turn first, for its replies, and
    /// its marks could take all of that for ever.
    leaves_half: bool,
}

impl Taken {
    fn add(&mut self, rows: &[Row]) {
        let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        self.calls += count(rows.len());
        self.effects += count(rows.len());
        self.retries += count(rows.iter().filter(|row| row.attempts > 1).count());
    }
}

impl Leased {
    fn of(row: Row, share: &Share, token: &str, since: Instant) -> Option<Self> {
        // The table's CHECK lets no other kind in.
        let kind = EffectKind::named(&row.kind)?;
        Some(Self {
            id: row.id,
            kind,
            message_id: row.message_id,
            kapso_message_id: row.kapso_message_id,
            conversation_id: row.conversation_id,
            phone_number_id: row.phone_number_id,
            recipient: row.recipient,
            body: row.body,
            attempt: row.attempts,
            token: token.to_owned(),
            way: share.way,
            since,
            lease: share.lease(),
        })
    }
}

/// Whether something is due and the key lets anything leave. Locks nothing: this is asked all
/// the time.
async fn is_worth_it(pool: &PgPool, key: &ApiKey) -> sqlx::Result<bool> {
    let (own, by_proxy, now, due) = api_key::look(pool, key).await?;
    figures::api_key_held(own.reason(now));
    let proxy_may = by_proxy.is_some_and(|key| key.allowed(now) != Allowed::Nothing && !own.is_limited(now));
    Ok(due && (proxy_may || own.allowed(now) != Allowed::Nothing))
}

/// How much of what is wanted may go by the way at this place; none: nothing.
fn share(
    keys: &[(Way, &str, Key)],
    place: usize,
    now: OffsetDateTime,
    taken: &Taken,
    wanted: &Wanted<'_>,
) -> Option<Share> {
    let (way, _, key) = keys.get(place)?;
    let limit = i64::from(wanted.key.calls_a_minute.get());
    let room = (wanted.room - taken.effects).min(limit - taken.calls);
    // Half of each minute is kept for replies: one may be owed at any moment.
    let marks = room.min(limit - limit / 2 - taken.calls).max(0);
    let marks = if *way == Way::Own && taken.leaves_half { marks / 2 } else { marks };
    let retries = (wanted.retries - taken.retries).max(0);
    // The first is the key's own: how often it may be used is said there.
    let is_limited = keys.first().is_some_and(|(_, _, own)| own.is_limited(now));
    match key.allowed(now) {
        _ if room <= 0 || is_limited => None,
        _ if *way == Way::Proxy && marks == 0 => None,
        Allowed::Nothing => None,
        Allowed::Probe => Some(Share { way: *way, room: 1, marks: 1, retries: 1, probe: true }),
        Allowed::Calls => Some(Share { way: *way, room, marks, retries, probe: false }),
    }
}

/// Gives back what a lease that was not confirmed may have taken: no request of it has left.
///
/// The key's lock is waited for, so that a commit which is still under way is not missed.
pub(super) async fn give_back(pool: &PgPool, key: &ApiKey, token: &str) -> sqlx::Result<u64> {
    let mut tx = pool.begin().await?;
    for (_, id, mut state) in api_key::lock_all(&mut tx, key).await? {
        if state.probe.take_if(|(probe, _)| probe == token).is_some() {
            api_key::save(&mut tx, id, &state).await?;
        }
    }
    let given_back = sqlx::query(
        "WITH given_back AS (
            UPDATE effects SET state = 'pending', settled_at = NULL, lease = NULL, lease_token = NULL,
                outcome = 'no request left: the lease was not confirmed'
            WHERE lease_token = $1 AND state IN ('pending', 'unknown') RETURNING id, attempts)
         UPDATE effect_attempts SET finished_at = now(), outcome = 'no request left'
         FROM given_back WHERE effect_id = id AND attempt = attempts",
    )
    .bind(token)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(given_back.rows_affected())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::effects::hold::Hold;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-25 12:00 UTC);

    fn key(allowed: Allowed) -> Key {
        match allowed {
            Allowed::Nothing => Key { next_probe_at: Some(NOW + Duration::from_secs(1)), ..Key::default() },
            Allowed::Probe => Key { hold: Some((Hold::Failing, NOW)), ..Key::default() },
            Allowed::Calls => Key::default(),
        }
    }

    fn shared(allowed: Allowed, limit: u32, calls: i64) -> Option<(i64, i64, i64)> {
        of_ways(&[(Way::Own, "key", key(allowed))], 0, limit, calls)
    }

    fn of_ways(keys: &[(Way, &str, Key)], place: usize, limit: u32, calls: i64) -> Option<(i64, i64, i64)> {
        let calls_a_minute = NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        let key = ApiKey { id: "key".to_owned(), by_proxy: None, calls_a_minute };
        let guard = LoopGuard { per_minute: 5, per_hour: 20 };
        let wanted = Wanted {
            key: &key,
            room: 64,
            retries: 32,
            guard,
            takeover_pause: time::Duration::ZERO,
            style: ApiStyle::Conversation,
            token: "token",
        };
        let taken = Taken { calls, leaves_half: keys.len() > 1, ..Taken::default() };
        share(keys, place, NOW, &taken, &wanted).map(|share| (share.room, share.marks, share.retries))
    }

    #[test]
    fn half_of_each_minute_is_kept_for_replies() {
        assert_eq!(shared(Allowed::Calls, 1000, 0), Some((64, 64, 32)));
        assert_eq!(shared(Allowed::Calls, 80, 30), Some((50, 10, 32)));
        assert_eq!(shared(Allowed::Calls, 80, 60), Some((20, 0, 32)));
        assert_eq!(shared(Allowed::Calls, 80, 80), None);
        // The smallest limit still lets a mark through.
        assert_eq!(shared(Allowed::Calls, 1, 0), Some((1, 1, 32)));
    }

    #[test]
    fn a_probe_is_one_call_within_the_limit() {
        assert_eq!(shared(Allowed::Probe, 80, 79), Some((1, 1, 1)));
        assert_eq!(shared(Allowed::Probe, 80, 80), None);
        assert_eq!(shared(Allowed::Nothing, 80, 0), None);
    }

    #[test]
    fn one_way_that_fails_leaves_the_other_and_a_limit_is_for_both() {
        let limited = Key { limited_until: Some(NOW + Duration::from_secs(9)), ..Key::default() };
        let keys = |own, by_proxy| [(Way::Own, "own", own), (Way::Proxy, "by proxy", by_proxy)];
        let held = keys(key(Allowed::Probe), Key::default());
        assert_eq!([0, 1].map(|place| of_ways(&held, place, 80, 0)), [Some((1, 1, 1)), Some((64, 40, 32))]);
        let held = keys(Key::default(), key(Allowed::Nothing));
        // Of the forty calls that marks may have, half are left to the other way.
        assert_eq!([0, 1].map(|place| of_ways(&held, place, 80, 0)), [Some((64, 20, 32)), None]);
        let both = keys(limited, Key::default());
        assert_eq!([0, 1].map(|place| of_ways(&both, place, 80, 0)), [None, None]);
        // By the proxy go marks alone, and half of the minute is not theirs.
        assert_eq!(of_ways(&keys(Key::default(), Key::default()), 1, 80, 40), None);
    }
}
