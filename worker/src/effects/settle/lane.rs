//! Settling the replies of one lane, in one transaction.
//!
//! The lane's row is locked, as where its next effect is chosen: what is decided here is
//! decided of effects that nobody is about to send. That a reply may be sent again is decided
//! alone ([`Lock::Exclusive`]): every transaction that projects holds the other lock from before it
//! projects anything, so that none is under way whose echo could be committed and not be seen. What
//! comes after that finds the effect pending, and settles it all the same until it is leased.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    claim::{By, Candidate, claims},
    decide::Verdict,
    doubts::{self, InDoubt, Known, Lanes},
};
use crate::{
    effects::{record, reply},
    project::{self, Lock, ProjectError},
};

/// What a lane's replies came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It went out, and this is how we know.
    Done(By),
    /// It is to be sent again.
    Again,
    /// It stays unknown.
    GivenUp,
}

impl Settled {
    /// As the figures name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done(By::Echo) => "echoed",
            Self::Done(By::Text) => "found",
            Self::Again => "again",
            Self::GivenUp => "given_up",
        }
    }

    /// As the outbox has it.
    const fn outcome(self) -> &'static str {
        match self {
            Self::Done(By::Echo) => "it went out: a status echoes its id",
            Self::Done(By::Text) => "it went out: a message with its text is in its lane",
            Self::Again => "it did not go out: it is missing from two of Kapso's listings",
            Self::GivenUp => "nothing has shown since whether it went out",
        }
    }
}

/// A reply, what is to be done about it, and the message that it is found to be.
pub(super) type Decided<'a> = (&'a InDoubt, Verdict, Option<(&'a Candidate, By)>);

/// What is to be settled of a lane, as far as it was looked at without a lock.
pub(super) fn verdicts(known: &Known, patience: Duration, now: OffsetDateTime) -> Vec<Decided<'_>> {
    let claims = claims(&known.claimants, &known.candidates);
    let decided = known.replies.iter().map(|reply| {
        let found = claims.iter().find(|(effect, ..)| *effect == reply.id);
        let found = found.map(|(_, candidate, by)| (*candidate, *by));
        (reply, reply.doubt().verdict(found.is_some(), patience, now), found)
    });
    decided.filter(|(_, verdict, _)| *verdict != Verdict::Wait).collect()
}

/// Settles what can be settled; the effects with what they came to.
pub(super) async fn settle(
    pool: &PgPool,
    lane: &str,
    patience: Duration,
) -> sqlx::Result<Vec<(i64, Settled)>> {
    let mut lock = Lock::Shared;
    loop {
        let mut tx = pool.begin().await?;
        project::lock(&mut tx, lock).await?;
        match once(&mut tx, lane, patience, lock).await {
            Ok(settled) => {
                tx.commit().await?;
                return Ok(settled);
            }
            Err(ProjectError::NeedsExclusive) => {
                tx.rollback().await?;
                lock = Lock::Exclusive;
            }
            Err(ProjectError::Database(error)) => return Err(error),
        }
    }
}

async fn once(
    tx: &mut PgConnection,
    lane: &str,
    patience: Duration,
    lock: Lock,
) -> Result<Vec<(i64, Settled)>, ProjectError> {
    sqlx::query("SELECT FROM lanes WHERE id = $1 FOR UPDATE").bind(lane).execute(&mut *tx).await?;
    let (mut lanes, now) = doubts::look(tx, Lanes::One(lane)).await?;
    let known = lanes.remove(lane).unwrap_or_default();
    let mut settled = Vec::new();
    for (reply, verdict, found) in verdicts(&known, patience, now) {
        let done = match (verdict, found) {
            (Verdict::Done, Some((message, by))) => done(tx, reply, message, by, lock).await?,
            (Verdict::Again, _) if lock == Lock::Shared => return Err(ProjectError::NeedsExclusive),
            (Verdict::Again, _) => again(tx, reply).await?,
            (Verdict::GiveUp, _) => give_up(tx, reply).await?,
            (Verdict::Done | Verdict::Wait, _) => None,
        };
        settled.extend(done.map(|settled| (reply.id, settled)));
    }
    Ok(settled)
}

/// A reply went out, and this message is it. What was done without a name keeps its outcome.
async fn done(
    tx: &mut PgConnection,
    reply: &InDoubt,
    message: &Candidate,
    by: By,
    lock: Lock,
) -> Result<Option<Settled>, ProjectError> {
    let settled = Settled::Done(by);
    let names: Vec<String> =
        sqlx::query_scalar("SELECT alias FROM message_aliases WHERE id = $1 AND alias <> $1 ORDER BY alias")
            .bind(&message.id)
            .fetch_all(&mut *tx)
            .await?;
    let names: Vec<String> = std::iter::once(message.id.clone()).chain(names).collect();
    let sent: Option<reply::Reply> = sqlx::query_as(
        "UPDATE effects SET state = 'done', lease_token = NULL,
            outcome = CASE WHEN state = 'done' THEN outcome ELSE $3 END,
            settled_at = CASE WHEN state = 'done' THEN settled_at ELSE now() END
         WHERE id = $1 AND attempts = $2 AND lease IS NULL AND sent_message_id IS NULL AND state <> 'discarded'
         RETURNING id, $4::text[] AS names, conversation_id, phone_number_id, recipient, body, settled_at AS at",
    )
    .bind(reply.id)
    .bind(reply.attempts)
    .bind(settled.outcome())
    .bind(names)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(sent) = sent else { return Ok(None) };
    record::project(tx, &[sent], lock).await?;
    sqlx::query("DELETE FROM effect_doubts WHERE effect_id = $1").bind(reply.id).execute(tx).await?;
    Ok(Some(settled))
}

/// A reply did not go out. It stays in doubt until it is settled otherwise: should it turn up
/// after all before it is leased, it is not sent.
async fn again(tx: &mut PgConnection, reply: &InDoubt) -> sqlx::Result<Option<Settled>> {
    let changed = sqlx::query(
        "UPDATE effects SET state = 'pending', settled_at = NULL, next_at = now(), lease_token = NULL, outcome = $3
         WHERE id = $1 AND attempts = $2 AND state = 'unknown' AND expires_at > now()",
    )
    .bind(reply.id)
    .bind(reply.attempts)
    .bind(Settled::Again.outcome())
    .execute(tx)
    .await?;
    Ok((changed.rows_affected() > 0).then_some(Settled::Again))
}

/// A reply stays unknown, and says so.
async fn give_up(tx: &mut PgConnection, reply: &InDoubt) -> sqlx::Result<Option<Settled>> {
    sqlx::query("UPDATE effect_doubts SET given_up_at = now() WHERE effect_id = $1")
        .bind(reply.id)
        .execute(&mut *tx)
        .await?;
    let changed = sqlx::query(
        "UPDATE effects SET outcome = concat_ws('; ', outcome, $3) WHERE id = $1 AND attempts = $2 AND state = 'unknown'",
    )
    .bind(reply.id)
    .bind(reply.attempts)
    .bind(Settled::GivenUp.outcome())
    .execute(tx)
    .await?;
    Ok((changed.rows_affected() > 0).then_some(Settled::GivenUp))
}
