//! The table `conversations`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::{Latest, Party, greatest, least};

/// One row, as far as a slice of events knows it.
#[derive(Debug, Default)]
pub(super) struct ConversationRow {
    pub(super) contact: Option<Party>,
    pub(super) phone_number_id: Option<String>,
    pub(super) status: Latest,
    pub(super) created_at: Option<OffsetDateTime>,
    pub(super) last_active_at: Option<OffsetDateTime>,
    pub(super) ended_at: Option<OffsetDateTime>,
    pub(super) inactive_at: Option<OffsetDateTime>,
    pub(super) metadata: Latest,
}

impl ConversationRow {
    pub(super) fn join(&mut self, other: Self) {
        least(&mut self.contact, other.contact);
        greatest(&mut self.phone_number_id, other.phone_number_id);
        self.status.join(other.status);
        least(&mut self.created_at, other.created_at);
        greatest(&mut self.last_active_at, other.last_active_at);
        greatest(&mut self.ended_at, other.ended_at);
        greatest(&mut self.inactive_at, other.inactive_at);
        self.metadata.join(other.metadata);
    }
}

const UPSERT: &str =
    "INSERT INTO conversations AS old (id, contact_alias, contact_id, phone_number_id, status_clock, status,
        created_at, last_active_at, ended_at, inactive_at, metadata_clock, metadata)
     SELECT id, contact_alias, contact_id, phone_number_id, status_clock, status,
        created_at, last_active_at, ended_at, inactive_at, metadata_clock, metadata::json
     FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[],
        $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::text[])
     AS new (id, contact_alias, contact_id, phone_number_id, status_clock, status,
        created_at, last_active_at, ended_at, inactive_at, metadata_clock, metadata)
     ON CONFLICT (id) DO UPDATE SET
        contact_id = CASE WHEN old.contact_alias <= EXCLUDED.contact_alias THEN old.contact_id
                          ELSE COALESCE(EXCLUDED.contact_id, old.contact_id) END,
        contact_alias = LEAST(old.contact_alias, EXCLUDED.contact_alias),
        phone_number_id = GREATEST(old.phone_number_id, EXCLUDED.phone_number_id),
        status = latest_of(old.status_clock, old.status, EXCLUDED.status_clock, EXCLUDED.status),
        status_clock = GREATEST(old.status_clock, EXCLUDED.status_clock),
        created_at = LEAST(old.created_at, EXCLUDED.created_at),
        last_active_at = GREATEST(old.last_active_at, EXCLUDED.last_active_at),
        ended_at = GREATEST(old.ended_at, EXCLUDED.ended_at),
        inactive_at = GREATEST(old.inactive_at, EXCLUDED.inactive_at),
        metadata = latest_of(old.metadata_clock, old.metadata::text, EXCLUDED.metadata_clock, EXCLUDED.metadata::text)::json,
        metadata_clock = GREATEST(old.metadata_clock, EXCLUDED.metadata_clock)";

/// Merges rows into the table.
pub(super) async fn upsert(
    tx: &mut PgConnection,
    rows: &BTreeMap<String, ConversationRow>,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let instant =
        |of: fn(&ConversationRow) -> Option<OffsetDateTime>| rows.values().map(of).collect::<Vec<_>>();
    sqlx::query(UPSERT)
        .bind(rows.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.contact.as_ref().map(|it| it.alias.as_str())).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.contact.as_ref().map(|it| it.id.as_str())).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.phone_number_id.as_deref()).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.status.clock).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.status.value.as_deref()).collect::<Vec<_>>())
        .bind(instant(|row| row.created_at))
        .bind(instant(|row| row.last_active_at))
        .bind(instant(|row| row.ended_at))
        .bind(instant(|row| row.inactive_at))
        .bind(rows.values().map(|row| row.metadata.clock).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.metadata.value.as_deref()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
