//! Writing what is owed into the table `effects`.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{Owed, State, lane::Lane};

/// Owes effects; how many of them were not owed before.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn insert(tx: &mut PgConnection, owed: &[Owed]) -> sqlx::Result<u64> {
    const INSERT: &str =
        "INSERT INTO effects (kind, state, outcome, settled_at, message_id, kapso_message_id,
                              conversation_id, phone_number_id, recipient, lane, body, rule, expires_at)
         SELECT kind, CASE WHEN refusal IS NULL THEN 'pending' ELSE 'discarded' END, refusal,
                CASE WHEN refusal IS NOT NULL THEN now() END, message_id, kapso_message_id,
                conversation_id, phone_number_id, recipient, lane, body, rule, expires_at
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::timestamptz[])
         WITH ORDINALITY
         AS new (kind, refusal, message_id, kapso_message_id, conversation_id, phone_number_id, recipient, lane, body, rule, expires_at, place)
         ORDER BY place
         ON CONFLICT ON CONSTRAINT owed_once DO NOTHING";
    if owed.is_empty() {
        return Ok(0);
    }
    insert_lanes(tx, &owed.iter().map(|owed| &owed.lane).collect()).await?;
    let all = || owed.iter();
    let refusal = |owed: &Owed| match &owed.state {
        State::Pending => None,
        State::Refused(refusal) => Some(refusal.to_string()),
    };
    let inserted = sqlx::query(INSERT)
        .bind(all().map(|owed| owed.kind.name()).collect::<Vec<_>>())
        .bind(all().map(refusal).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.message_id.as_str()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.kapso_message_id.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.conversation_id.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.phone_number_id.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.recipient.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.lane.id.as_str()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.body.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.rule.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|owed| owed.expires_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(inserted.rows_affected())
}

async fn insert_lanes(tx: &mut PgConnection, lanes: &BTreeSet<&Lane>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO lanes (id, phone_number_id, contact_id, conversation_id)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[])
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
