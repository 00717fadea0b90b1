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
    choose::{Share, choose},
    hold::Allowed,
};
use crate::{
    figures,
    kapso::{Covering, REQUEST_TIMEOUT},
};
use sqlx::PgPool;

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
    /// Which marks cover those before theirs.
    pub(super) covering: Covering,
    /// Whether marks go by the API that is probed.
    pub(super) probe_by_marks: bool,
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
    let mut key = api_key::lock(&mut tx, &wanted.key.id).await?;
    let (now, calls) = api_key::calls_lately(&mut tx).await?;
    let Some(share) = share(key.allowed(now), calls, wanted) else {
        tx.rollback().await?;
        return Ok(Vec::new());
    };
    let rows = choose(&mut tx, &share, wanted).await?;
    if share.probe && !rows.is_empty() {
        key.probe = Some((wanted.token.to_owned(), now + share.lease()));
        api_key::save(&mut tx, &wanted.key.id, &key).await?;
    }
    tx.commit().await?;
    let leased = rows.into_iter().filter_map(|row| {
        // The table's CHECK lets no other kind in.
        let kind = EffectKind::named(&row.kind)?;
        Some(Leased {
            id: row.id,
            kind,
            message_id: row.message_id,
            kapso_message_id: row.kapso_message_id,
            conversation_id: row.conversation_id,
            phone_number_id: row.phone_number_id,
            recipient: row.recipient,
            body: row.body,
            attempt: row.attempts,
            token: wanted.token.to_owned(),
            since,
            lease: share.lease(),
        })
    });
    Ok(leased.collect())
}

/// Whether something is due and the key lets anything leave. Locks nothing: this is asked all
/// the time.
async fn is_worth_it(pool: &PgPool, key: &ApiKey) -> sqlx::Result<bool> {
    let (state, now, due) = api_key::look(pool, &key.id).await?;
    figures::api_key_held(state.reason(now));
    Ok(due && state.allowed(now) != Allowed::Nothing)
}

/// How much of what is wanted the key allows; none: nothing.
fn share(allowed: Allowed, calls: i64, wanted: &Wanted<'_>) -> Option<Share> {
    let limit = i64::from(wanted.key.calls_a_minute.get());
    let room = wanted.room.min(limit - calls);
    // Half of each minute is kept for replies: one may be owed at any moment.
    let marks = room.min(limit - limit / 2 - calls).max(0);
    match allowed {
        _ if room <= 0 => None,
        Allowed::Nothing => None,
        Allowed::Probe => Some(Share { room: 1, marks: 1, retries: 1, probe: true }),
        Allowed::Calls => Some(Share { room, marks, retries: wanted.retries, probe: false }),
    }
}

/// Gives back what a lease that was not confirmed may have taken: no request of it has left.
///
/// The key's lock is waited for, so that a commit which is still under way is not missed.
pub(super) async fn give_back(pool: &PgPool, key: &ApiKey, token: &str) -> sqlx::Result<u64> {
    let mut tx = pool.begin().await?;
    let mut state = api_key::lock(&mut tx, &key.id).await?;
    if state.probe.take_if(|(probe, _)| probe == token).is_some() {
        api_key::save(&mut tx, &key.id, &state).await?;
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

    fn shared(allowed: Allowed, limit: u32, calls: i64) -> Option<(i64, i64, i64)> {
        let calls_a_minute = NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        let key = ApiKey { id: "key".to_owned(), calls_a_minute };
        let guard = LoopGuard { per_minute: 5, per_hour: 20 };
        let wanted = Wanted {
            key: &key,
            room: 64,
            retries: 32,
            guard,
            takeover_pause: time::Duration::ZERO,
            covering: Covering::None,
            probe_by_marks: true,
            token: "token",
        };
        share(allowed, calls, &wanted).map(|share| (share.room, share.marks, share.retries))
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
}
