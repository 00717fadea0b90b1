//! The table `reactions`.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// What names a row: the message that was reacted to, and who reacted.
pub(super) type ReactionKey = (String, String);

/// A reaction at some time; the greatest wins. No emoji: it was taken back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReactionRow {
    pub(super) clock: i64,
    pub(super) emoji: Option<String>,
}

/// Who reacts when it is the business.
pub(super) const BUSINESS: &str = "business";

/// How a row meets one that is there: null is less than any emoji, as in Rust.
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (message_id, reactor) DO UPDATE SET
            emoji = CASE WHEN EXCLUDED.clock > old.clock THEN EXCLUDED.emoji
                         WHEN EXCLUDED.clock = old.clock THEN GREATEST(old.emoji, EXCLUDED.emoji)
                         ELSE old.emoji END,
            clock = GREATEST(old.clock, EXCLUDED.clock)"
    };
}

const UPSERT: &str = concat!(
    "INSERT INTO reactions AS old (message_id, reactor, clock, emoji)
     SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[])",
    on_conflict!()
);

/// Merges the reactions to the message `$1` into those to `$2`.
pub(super) const MERGE_MESSAGE: &str = concat!(
    "INSERT INTO reactions AS old (message_id, reactor, clock, emoji)
     SELECT $2, reactor, clock, emoji FROM reactions WHERE message_id = $1",
    on_conflict!()
);

/// Merges the reactions of the contact `$1` into those of `$2`.
pub(super) const MERGE_CONTACT: &str = concat!(
    "INSERT INTO reactions AS old (message_id, reactor, clock, emoji)
     SELECT message_id, $2, clock, emoji FROM reactions WHERE reactor = $1",
    on_conflict!()
);

/// Merges rows into the table.
pub(super) async fn upsert(
    tx: &mut PgConnection,
    rows: &BTreeMap<ReactionKey, ReactionRow>,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(rows.keys().map(|(message_id, _)| message_id.as_str()).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, reactor)| reactor.as_str()).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.clock).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.emoji.as_deref()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
