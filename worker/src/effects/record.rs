//! Recording how attempts ended, several in one transaction. A reply that went out becomes a
//! message of ours in the same transaction.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    ApiKey, EffectKind, api_key,
    hold::{Key, Standing},
    lease::Leased,
    outcome::Outcome,
    reply::Reply,
    way::Way,
};
use crate::{
    fault::Fault,
    project::{self, Lock, ProjectError},
};

/// An attempt that has ended.
pub(super) struct Ended {
    /// What was attempted.
    pub(super) effect: Leased,
    /// The HTTP status of the answer, if there was one.
    pub(super) http_status: Option<u16>,
    /// What becomes of the effect.
    pub(super) outcome: Outcome,
    /// What the answer says of the key.
    pub(super) standing: Standing,
}

impl Ended {
    /// What the answer says of the key as it is used by a way.
    fn said_of(&self, way: Way) -> Option<Standing> {
        match self.standing {
            // That it was used too often is said of the key itself; whoever probed has ended all the same.
            Standing::Limited(_) if way == Way::Own => Some(self.standing),
            Standing::Limited(_) => (self.effect.way == way).then_some(Standing::Untold),
            _ => (self.effect.way == way).then_some(self.standing),
        }
    }

    /// The lease that it ends there, where a probe may have been part of it; one lease is of both ways.
    fn token_of(&self, way: Way) -> &str {
        if self.effect.way == way { &self.effect.token } else { "" }
    }
}

/// Whether replies become messages of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    /// They do.
    Projected,
    /// Something in one of them can't be stored: that it went out must be.
    Left,
}

/// Records outcomes, all of them or none. They may come late: an effect whose lease ran out
/// meanwhile is unknown, and then the truth is still better.
pub(super) async fn outcomes(
    pool: &PgPool,
    key: &ApiKey,
    ended: &[Ended],
    replies: Replies,
) -> Result<(), Fault> {
    let mut lock = Lock::Shared;
    loop {
        let mut tx = pool.begin().await?;
        // First, since it may be long in coming: whoever waits for it must hold nothing that all dispatchers need.
        if replies == Replies::Projected && ended.iter().any(became_a_message) {
            project::lock(&mut tx, lock).await?;
        }
        // The key comes before the effects, as where they are leased.
        let changes = note(&mut tx, key, ended).await?;
        let settled = settle(&mut tx, ended).await?;
        let sent = match replies {
            Replies::Projected => sent(ended, &settled),
            Replies::Left => Vec::new(),
        };
        match project(&mut tx, &sent, lock).await {
            Ok(()) => {
                tx.commit().await?;
                changes.iter().for_each(|(way, before, after)| api_key::tell(*way, before, after));
                return Ok(());
            }
            Err(ProjectError::NeedsExclusive) => {
                tx.rollback().await?;
                lock = Lock::Exclusive;
            }
            Err(ProjectError::Database(error)) => return Err(error.into()),
        }
    }
}

/// Notes what the answers say of the key, by each way. The keys before and after.
async fn note(tx: &mut PgConnection, key: &ApiKey, ended: &[Ended]) -> sqlx::Result<Vec<(Way, Key, Key)>> {
    let mut changes = Vec::new();
    for (way, id) in [(Way::Own, Some(&key.id)), (Way::Proxy, key.by_proxy.as_ref())] {
        let answers = ended.iter().filter_map(|it| Some((it.said_of(way)?, it.token_of(way))));
        let answers: Vec<_> = answers.collect();
        if let Some(id) = id.filter(|_| !answers.is_empty())
            && let Some((before, after)) = api_key::note(tx, id, &answers).await?
        {
            changes.push((way, before, after));
        }
    }
    Ok(changes)
}

/// Ends the attempts, and settles their effects; which, and when. One of which another attempt
/// has been allowed meanwhile is not among them: this one is history.
async fn settle(tx: &mut PgConnection, ended: &[Ended]) -> sqlx::Result<HashMap<i64, OffsetDateTime>> {
    let settled: Vec<(i64, Option<OffsetDateTime>)> = sqlx::query_as(
        "WITH ended AS (
            SELECT * FROM UNNEST($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::text[], $6::float8[])
            AS ended (id, attempt, http_status, state, outcome, pause)),
         finished AS (
            UPDATE effect_attempts SET finished_at = now(), http_status = ended.http_status, outcome = ended.outcome
            FROM ended WHERE effect_id = ended.id AND effect_attempts.attempt = ended.attempt)
         UPDATE effects SET state = ended.state, lease = NULL, lease_token = NULL, outcome = ended.outcome,
            settled_at = CASE WHEN ended.state <> 'pending' THEN now() END,
            next_at = now() + make_interval(secs => ended.pause)
         FROM ended WHERE effects.id = ended.id AND attempts = ended.attempt
            AND effects.state IN ('pending', 'unknown')
         RETURNING effects.id, settled_at",
    )
    .bind(ended.iter().map(|it| it.effect.id).collect::<Vec<_>>())
    .bind(ended.iter().map(|it| it.effect.attempt).collect::<Vec<_>>())
    .bind(ended.iter().map(|it| it.http_status.map(i32::from)).collect::<Vec<_>>())
    .bind(ended.iter().map(|it| state(&it.outcome).0).collect::<Vec<_>>())
    .bind(ended.iter().map(|it| told(&it.outcome)).collect::<Vec<_>>())
    .bind(ended.iter().map(|it| state(&it.outcome).1).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(settled.into_iter().filter_map(|(id, at)| Some((id, at?))).collect())
}

/// The state of an effect after an attempt, and for how many seconds it is put off.
fn state(outcome: &Outcome) -> (&'static str, f64) {
    match outcome {
        Outcome::Done(_) => ("done", 0.0),
        Outcome::Again(pause, _) => ("pending", pause.as_secs_f64()),
        Outcome::Discarded(_) => ("discarded", 0.0),
        Outcome::Unknown(_) => ("unknown", 0.0),
    }
}

fn told(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done(sent) => sent.told(),
        Outcome::Again(_, why) | Outcome::Discarded(why) | Outcome::Unknown(why) => why,
    }
}

/// Whether an effect became a message that has a name. One whose answer names none is not
/// projected: a name of our own could never be joined to the one by which its webhook calls it,
/// and the message would be there twice. Its effect has its text.
fn became_a_message(ended: &Ended) -> bool {
    let names = match &ended.outcome {
        Outcome::Done(sent) => sent.names.as_slice(),
        Outcome::Again(..) | Outcome::Discarded(_) | Outcome::Unknown(_) => &[],
    };
    ended.effect.kind == EffectKind::SendText && !names.is_empty()
}

/// The messages that replies became, as far as the outbox knows them.
fn sent(ended: &[Ended], settled: &HashMap<i64, OffsetDateTime>) -> Vec<Reply> {
    let reply = |it: &Ended| {
        let Outcome::Done(sent) = &it.outcome else { return None };
        let effect = &it.effect;
        Some(Reply {
            effect: effect.id,
            names: sent.names.clone(),
            conversation_id: effect.conversation_id.clone(),
            phone_number_id: effect.phone_number_id.clone(),
            recipient: effect.recipient.clone(),
            body: effect.body.clone(),
            at: *settled.get(&effect.id)?,
        })
    };
    ended.iter().filter(|it| became_a_message(it)).filter_map(reply).collect()
}

/// Projects replies that went out, and keeps by which names they are known.
pub(super) async fn project(tx: &mut PgConnection, sent: &[Reply], lock: Lock) -> Result<(), ProjectError> {
    if sent.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = sent.iter().map(Reply::told).collect();
    project::project(tx, &told, lock).await?;
    // Lists of different lengths are no array of arrays to Postgres: the first name, and the list as JSON.
    sqlx::query(
        "UPDATE effects SET sent_names = ARRAY(SELECT jsonb_array_elements_text(sent.names)),
            sent_message_id = COALESCE((SELECT id FROM message_aliases WHERE alias = sent.name), sent.name)
         FROM UNNEST($1::bigint[], $2::text[], $3::jsonb[]) AS sent (effect, name, names) WHERE id = sent.effect",
    )
    .bind(sent.iter().map(|it| it.effect).collect::<Vec<_>>())
    .bind(sent.iter().map(|it| it.names.first().map(String::as_str)).collect::<Vec<_>>())
    .bind(sent.iter().map(|it| serde_json::Value::from(it.names.as_slice())).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
