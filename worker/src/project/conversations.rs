//! The table `conversations`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::{Latest, greatest};

/// One row, as far as a slice of events knows it.
#[derive(Debug, Default)]
pub(super) struct ConversationRow {
    pub(super) contact_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    pub(super) status: Latest,
    pub(super) last_active_at: Option<OffsetDateTime>,
}

impl ConversationRow {
    pub(super) fn join(&mut self, other: Self) {
        greatest(&mut self.contact_id, other.contact_id);
        greatest(&mut self.phone_number_id, other.phone_number_id);
        self.status.join(other.status);
        greatest(&mut self.last_active_at, other.last_active_at);
    }
}

const UPSERT: &str =
    "INSERT INTO conversations AS old (id, contact_id, phone_number_id, status, status_clock, last_active_at)
     SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
     ON CONFLICT (id) DO UPDATE SET
        contact_id = GREATEST(old.contact_id, EXCLUDED.contact_id),
        phone_number_id = GREATEST(old.phone_number_id, EXCLUDED.phone_number_id),
        status = latest_of(old.status_clock, old.status, EXCLUDED.status_clock, EXCLUDED.status),
        status_clock = GREATEST(old.status_clock, EXCLUDED.status_clock),
        last_active_at = GREATEST(old.last_active_at, EXCLUDED.last_active_at)";

/// Merges rows into the table.
pub(super) async fn upsert(
    tx: &mut PgConnection,
    rows: &BTreeMap<String, ConversationRow>,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(rows.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.contact_id.as_deref()).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.phone_number_id.as_deref()).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.status.value.as_deref()).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.status.clock).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.last_active_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
