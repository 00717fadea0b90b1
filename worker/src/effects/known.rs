//! Effects that are owed and have not left, as the table has them: what can still be learnt of
//! them.

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::{
    EffectKind,
    join::{Refused, Said},
    lane::Lane,
    owed::Reason,
};

/// An effect that has not left.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) kind: EffectKind,
    pub(super) message_id: String,
    pub(super) said: Said,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    kind: String,
    message_id: String,
    kapso_message_id: Option<String>,
    conversation_id: Option<String>,
    phone_number_id: Option<String>,
    recipient: Option<String>,
    lane: String,
    lane_number: Option<String>,
    lane_contact: Option<String>,
    lane_conversation: Option<String>,
    expires_at: OffsetDateTime,
    refused: Option<String>,
    outcome: Option<String>,
}

impl Row {
    fn known(self) -> Option<Known> {
        let refused = match self.refused {
            Some(name) => Some(Refused { reason: Reason::named(&name)?, told: self.outcome? }),
            None => None,
        };
        let said = Said {
            kapso_message_id: self.kapso_message_id,
            conversation_id: self.conversation_id,
            phone_number_id: self.phone_number_id,
            recipient: self.recipient,
            lane: Lane {
                id: self.lane,
                phone_number_id: self.lane_number,
                contact_id: self.lane_contact,
                conversation_id: self.lane_conversation,
            },
            expires_at: self.expires_at,
            refused,
        };
        Some(Known { id: self.id, kind: EffectKind::named(&self.kind)?, message_id: self.message_id, said })
    }
}

/// Locks those of these effects that have not left. One that somebody else is just changing is
/// being leased, or settled: it is not waited for. Where a person has had it tried again, that is the
/// last word: what is learnt later neither refuses it nor owes it once more.
pub(super) async fn lock(tx: &mut PgConnection, keys: &[(EffectKind, &str)]) -> sqlx::Result<Vec<Known>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT effects.id, kind, message_id, kapso_message_id, effects.conversation_id, effects.phone_number_id,
            recipient, lane, lanes.phone_number_id AS lane_number, lanes.contact_id AS lane_contact,
            lanes.conversation_id AS lane_conversation, expires_at, refused, outcome
         FROM effects LEFT JOIN lanes ON lanes.id = lane
         WHERE (message_id, kind) IN (SELECT * FROM UNNEST($1::text[], $2::text[]))
            AND lease IS NULL AND (state = 'pending' OR state = 'discarded' AND refused IS NOT NULL)
            AND retried_at IS NULL
         FOR UPDATE OF effects SKIP LOCKED",
    )
    .bind(keys.iter().map(|(_, message_id)| *message_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|(kind, _)| kind.name()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().filter_map(Row::known).collect())
}

/// Writes what has been learnt of locked effects: what was known before, and what is.
pub(super) async fn change(tx: &mut PgConnection, changed: &[(i64, Said, Said)]) -> sqlx::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let now = || changed.iter().map(|(_, _, now)| now);
    // What is refused now keeps the time at which it was first.
    sqlx::query(
        "UPDATE effects SET kapso_message_id = new.kapso_message_id, conversation_id = new.conversation_id,
            phone_number_id = new.phone_number_id, recipient = new.recipient, lane = new.lane,
            expires_at = new.expires_at, refused = new.refused,
            state = CASE WHEN new.refused IS NULL THEN 'pending' ELSE 'discarded' END,
            settled_at = CASE WHEN new.refused IS NULL THEN NULL ELSE COALESCE(settled_at, now()) END,
            next_at = CASE WHEN effects.refused IS NULL THEN next_at ELSE now() END,
            outcome = CASE WHEN new.refused IS NULL AND effects.refused IS NULL THEN outcome ELSE new.why END
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                     $8::text[], $9::text[])
         AS new (id, kapso_message_id, conversation_id, phone_number_id, recipient, lane, expires_at, refused, why)
         WHERE effects.id = new.id",
    )
    .bind(changed.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(now().map(|said| said.kapso_message_id.as_deref()).collect::<Vec<_>>())
    .bind(now().map(|said| said.conversation_id.as_deref()).collect::<Vec<_>>())
    .bind(now().map(|said| said.phone_number_id.as_deref()).collect::<Vec<_>>())
    .bind(now().map(|said| said.recipient.as_deref()).collect::<Vec<_>>())
    .bind(now().map(|said| said.lane.id.as_str()).collect::<Vec<_>>())
    .bind(now().map(|said| said.expires_at).collect::<Vec<_>>())
    .bind(now().map(|said| said.refused.as_ref().map(|it| it.reason.name())).collect::<Vec<_>>())
    .bind(now().map(|said| said.refused.as_ref().map(|it| it.told.as_str())).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
