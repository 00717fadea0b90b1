//! Writing what is owed into the table `effects`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    EffectKind, Owed, Policy,
    join::{Said, join},
    known::{self, Known},
    lane::Lane,
};
use crate::project::Received;

/// An effect that is owed once, however many events owe it.
struct New<'a> {
    owed: &'a Owed,
    said: Said,
}

/// Owes what received messages owe; how many effects are to be performed that were not before,
/// those that are refused at once included.
///
/// What is owed already is not owed again. It learns what its message's next event says,
/// until it leaves ([`super::join`]).
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn owe(
    tx: &mut PgConnection,
    policy: &Policy,
    received: &[Received],
    now: OffsetDateTime,
) -> sqlx::Result<u64> {
    let owed: Vec<Owed> = received.iter().flat_map(|message| policy.owe(message, now)).collect();
    if owed.is_empty() {
        return Ok(0);
    }
    insert_lanes(tx, &owed.iter().map(|owed| &owed.lane).collect()).await?;
    let new = once(policy, &owed, now);
    let inserted = insert(tx, &new).await?;
    let is_inserted =
        |it: &&New<'_>| inserted.contains(&(it.owed.message_id.clone(), it.owed.kind.name().to_owned()));
    let again: Vec<&New<'_>> = new.iter().filter(|it| !is_inserted(it)).collect();
    let performable = if again.is_empty() { 0 } else { learn(tx, policy, &again, now).await? };
    Ok(inserted.len() as u64 + performable)
}

/// What is owed by several events, once each, in the order of the first.
fn once<'a>(policy: &Policy, owed: &'a [Owed], now: OffsetDateTime) -> Vec<New<'a>> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut new: Vec<New<'a>> = Vec::new();
    for owed in owed {
        let said = Said::from(owed);
        let place = *places.entry((&owed.message_id, owed.kind.name())).or_insert(new.len());
        match new.get_mut(place) {
            Some(first) => first.said = join(policy, (owed.kind, &owed.message_id), &first.said, &said, now),
            None => new.push(New { owed, said }),
        }
    }
    new
}

/// Tells effects that are owed already what another event says; how many are refused no more.
async fn learn(
    tx: &mut PgConnection,
    policy: &Policy,
    again: &[&New<'_>],
    now: OffsetDateTime,
) -> sqlx::Result<u64> {
    let keys: Vec<(EffectKind, &str)> =
        again.iter().map(|it| (it.owed.kind, it.owed.message_id.as_str())).collect();
    let mut changed = Vec::new();
    for Known { id, kind, message_id, said } in known::lock(tx, &keys).await? {
        let others = again.iter().filter(|it| it.owed.kind == kind && it.owed.message_id == message_id);
        let learnt =
            others.fold(said.clone(), |known, it| join(policy, (kind, &message_id), &known, &it.said, now));
        if learnt != said {
            changed.push((id, said, learnt));
        }
    }
    known::change(tx, &changed).await?;
    let performable =
        |(_, before, after): &&(i64, Said, Said)| before.refused.is_some() && after.refused.is_none();
    Ok(changed.iter().filter(performable).count() as u64)
}

/// The effects that were not there, by message and kind.
///
/// Those that are there are left out before, row by row: a conflict with one that is just being leased or recorded would
/// wait for that, and the recorder may be waiting for what this transaction has written.
async fn insert(tx: &mut PgConnection, new: &[New<'_>]) -> sqlx::Result<BTreeSet<(String, String)>> {
    const INSERT: &str =
        "INSERT INTO effects (kind, state, refused, outcome, settled_at, message_id, kapso_message_id,
                              conversation_id, phone_number_id, recipient, lane, body, rule, expires_at)
         SELECT kind, CASE WHEN refused IS NULL THEN 'pending' ELSE 'discarded' END, refused, why,
                CASE WHEN refused IS NOT NULL THEN now() END, message_id, kapso_message_id,
                conversation_id, phone_number_id, recipient, lane, body, rule, expires_at
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
         WITH ORDINALITY
         AS new (kind, refused, why, message_id, kapso_message_id, conversation_id, phone_number_id, recipient, lane,
                 body, rule, expires_at, place)
         WHERE COALESCE((
            SELECT false FROM effects owed WHERE owed.message_id = new.message_id AND owed.kind = new.kind), true)
         ORDER BY place
         ON CONFLICT ON CONSTRAINT owed_once DO NOTHING
         RETURNING message_id, kind";
    let said = || new.iter().map(|it| &it.said);
    let owed = || new.iter().map(|it| it.owed);
    let inserted: Vec<(String, String)> = sqlx::query_as(INSERT)
        .bind(owed().map(|owed| owed.kind.name()).collect::<Vec<_>>())
        .bind(said().map(|said| said.refused.as_ref().map(|it| it.reason.name())).collect::<Vec<_>>())
        .bind(said().map(|said| said.refused.as_ref().map(|it| it.told.as_str())).collect::<Vec<_>>())
        .bind(owed().map(|owed| owed.message_id.as_str()).collect::<Vec<_>>())
        .bind(said().map(|said| said.kapso_message_id.as_deref()).collect::<Vec<_>>())
        .bind(said().map(|said| said.conversation_id.as_deref()).collect::<Vec<_>>())
        .bind(said().map(|said| said.phone_number_id.as_deref()).collect::<Vec<_>>())
        .bind(said().map(|said| said.recipient.as_deref()).collect::<Vec<_>>())
        .bind(said().map(|said| said.lane.id.as_str()).collect::<Vec<_>>())
        .bind(owed().map(|owed| owed.body.as_deref()).collect::<Vec<_>>())
        .bind(owed().map(|owed| owed.rule.as_deref()).collect::<Vec<_>>())
        .bind(said().map(|said| said.expires_at).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    Ok(inserted.into_iter().collect())
}

/// Inserts the lanes that are not there. One that is named by its conversation takes over what was decided by hand about
/// the same person's other conversations.
async fn insert_lanes(tx: &mut PgConnection, lanes: &BTreeSet<&Lane>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO lanes (id, phone_number_id, contact_id, conversation_id, paused_until, pause_reason, resumed_at)
         SELECT new.*, decided.paused_until, decided.pause_reason, decided.resumed_at
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[])
         AS new (id, phone_number_id, contact_id, conversation_id)
         LEFT JOIN LATERAL (
            SELECT other.paused_until, other.pause_reason, max(other.resumed_at) OVER () AS resumed_at
            FROM conversations talk JOIN conversations before USING (contact_id)
            JOIN lanes other ON other.id = 'conversation/' || before.id
            WHERE talk.id = new.conversation_id
            ORDER BY other.paused_until DESC NULLS LAST LIMIT 1) decided ON true
         WHERE COALESCE((SELECT false FROM lanes there WHERE there.id = new.id), true)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(lanes.iter().map(|lane| lane.id.as_str()).collect::<Vec<_>>())
    .bind(lanes.iter().map(|lane| lane.phone_number_id.as_deref()).collect::<Vec<_>>())
    .bind(lanes.iter().map(|lane| lane.contact_id.as_deref()).collect::<Vec<_>>())
    .bind(lanes.iter().map(|lane| lane.conversation_id.as_deref()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
