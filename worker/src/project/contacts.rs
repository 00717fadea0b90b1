//! The table `contacts`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::{Latest, greatest, least};

/// One row, as far as a slice of events knows it.
#[derive(Debug, Default)]
pub(super) struct ContactRow {
    pub(super) phone_number: Option<String>,
    pub(super) bsuid: Option<String>,
    pub(super) kapso_id: Option<String>,
    pub(super) name: Latest,
    pub(super) created_at: Option<OffsetDateTime>,
}

impl ContactRow {
    pub(super) fn join(&mut self, other: Self) {
        greatest(&mut self.phone_number, other.phone_number);
        greatest(&mut self.bsuid, other.bsuid);
        greatest(&mut self.kapso_id, other.kapso_id);
        self.name.join(other.name);
        least(&mut self.created_at, other.created_at);
    }
}

/// How a row meets one that is there.
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (id) DO UPDATE SET
            phone_number = GREATEST(old.phone_number, EXCLUDED.phone_number),
            bsuid = GREATEST(old.bsuid, EXCLUDED.bsuid),
            kapso_id = GREATEST(old.kapso_id, EXCLUDED.kapso_id),
            name = latest_of(old.name_clock, old.name, EXCLUDED.name_clock, EXCLUDED.name),
            name_clock = GREATEST(old.name_clock, EXCLUDED.name_clock),
            created_at = LEAST(old.created_at, EXCLUDED.created_at)"
    };
}

const UPSERT: &str = concat!(
    "INSERT INTO contacts AS old (id, phone_number, bsuid, kapso_id, name, name_clock, created_at)
     SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])",
    on_conflict!()
);

/// Merges the row `$1` into the row `$2`.
pub(super) const MERGE: &str = concat!(
    "INSERT INTO contacts AS old (id, phone_number, bsuid, kapso_id, name, name_clock, created_at)
     SELECT $2, phone_number, bsuid, kapso_id, name, name_clock, created_at FROM contacts WHERE id = $1",
    on_conflict!()
);

/// Merges rows into the table.
pub(super) async fn upsert(tx: &mut PgConnection, rows: &BTreeMap<String, ContactRow>) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&ContactRow) -> &Option<String>| {
        rows.values().map(|row| of(row).as_deref()).collect::<Vec<_>>()
    };
    sqlx::query(UPSERT)
        .bind(rows.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(column(|row| &row.phone_number))
        .bind(column(|row| &row.bsuid))
        .bind(column(|row| &row.kapso_id))
        .bind(column(|row| &row.name.value))
        .bind(rows.values().map(|row| row.name.clock).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.created_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
