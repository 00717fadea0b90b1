//! The table `message_statuses`: the history behind a message's status.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::Ranked;
use crate::event::Progress;

/// What names a row: the message, how far it got, and when.
pub(super) type StatusKey = (String, Progress, OffsetDateTime);

/// How a row meets one that is there.
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (message_id, status, occurred_at) DO UPDATE SET
            details = ranked_of(old.details_rank, old.details::text, EXCLUDED.details_rank, EXCLUDED.details::text)::json,
            details_rank = GREATEST(old.details_rank, EXCLUDED.details_rank)"
    };
}

const UPSERT: &str = concat!(
    "INSERT INTO message_statuses AS old (message_id, status, occurred_at, details_rank, details)
     SELECT message_id, status, occurred_at, details_rank, details::json
     FROM UNNEST($1::text[], $2::text[], $3::timestamptz[], $4::smallint[], $5::text[])
     AS new (message_id, status, occurred_at, details_rank, details)",
    on_conflict!()
);

/// Merges the history of `$1` into that of `$2`.
pub(super) const MERGE: &str = concat!(
    "INSERT INTO message_statuses AS old (message_id, status, occurred_at, details_rank, details)
     SELECT $2, status, occurred_at, details_rank, details FROM message_statuses WHERE message_id = $1",
    on_conflict!()
);

/// Merges rows into the table.
pub(super) async fn upsert(tx: &mut PgConnection, rows: &BTreeMap<StatusKey, Ranked>) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(rows.keys().map(|(message_id, ..)| message_id.as_str()).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, progress, _)| progress.name()).collect::<Vec<_>>())
        .bind(rows.keys().map(|(.., at)| *at).collect::<Vec<_>>())
        .bind(rows.values().map(|details| details.rank).collect::<Vec<_>>())
        .bind(rows.values().map(|details| details.value.as_deref()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
