//! The table `contacts`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::{Latest, greatest, least};

/// One row, as far as a slice of events knows it.
#[derive(Debug, Default)]
pub(super) struct ContactRow {
    pub(super) phone_number: Latest,
    pub(super) bsuid: Latest,
    pub(super) kapso_id: Option<String>,
    pub(super) name: Latest,
    pub(super) username: Latest,
    pub(super) marketing: Latest,
    pub(super) created_at: Option<OffsetDateTime>,
}

impl ContactRow {
    pub(super) fn join(&mut self, other: Self) {
        self.phone_number.join(other.phone_number);
        self.bsuid.join(other.bsuid);
        greatest(&mut self.kapso_id, other.kapso_id);
        self.name.join(other.name);
        self.username.join(other.username);
        self.marketing.join(other.marketing);
        least(&mut self.created_at, other.created_at);
    }
}

/// Every column but the id, in the order of both statements below.
macro_rules! columns {
    () => {
        "phone_number_clock, phone_number, bsuid_clock, bsuid, kapso_id, name_clock, name, \
         username_clock, username, marketing_clock, marketing, created_at"
    };
}

/// How a row meets one that is there.
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (id) DO UPDATE SET
            phone_number = latest_of(old.phone_number_clock, old.phone_number, EXCLUDED.phone_number_clock, EXCLUDED.phone_number),
            phone_number_clock = GREATEST(old.phone_number_clock, EXCLUDED.phone_number_clock),
            bsuid = latest_of(old.bsuid_clock, old.bsuid, EXCLUDED.bsuid_clock, EXCLUDED.bsuid),
            bsuid_clock = GREATEST(old.bsuid_clock, EXCLUDED.bsuid_clock),
            kapso_id = GREATEST(old.kapso_id, EXCLUDED.kapso_id),
            name = latest_of(old.name_clock, old.name, EXCLUDED.name_clock, EXCLUDED.name),
            name_clock = GREATEST(old.name_clock, EXCLUDED.name_clock),
            username = latest_of(old.username_clock, old.username, EXCLUDED.username_clock, EXCLUDED.username),
            username_clock = GREATEST(old.username_clock, EXCLUDED.username_clock),
            marketing = latest_of(old.marketing_clock, old.marketing, EXCLUDED.marketing_clock, EXCLUDED.marketing),
            marketing_clock = GREATEST(old.marketing_clock, EXCLUDED.marketing_clock),
            created_at = LEAST(old.created_at, EXCLUDED.created_at)"
    };
}

const UPSERT: &str = concat!(
    "INSERT INTO contacts AS old (id, ",
    columns!(),
    ") SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[],
         $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::timestamptz[])",
    on_conflict!()
);

/// Merges the row `$1` into the row `$2`.
pub(super) const MERGE: &str = concat!(
    "INSERT INTO contacts AS old (id, ",
    columns!(),
    ") SELECT $2, ",
    columns!(),
    " FROM contacts WHERE id = $1",
    on_conflict!()
);

/// Merges rows into the table.
pub(super) async fn upsert(tx: &mut PgConnection, rows: &BTreeMap<String, ContactRow>) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let clock = |of: fn(&ContactRow) -> &Latest| rows.values().map(|row| of(row).clock).collect::<Vec<_>>();
    let value = |of: fn(&ContactRow) -> &Latest| {
        rows.values().map(|row| of(row).value.as_deref()).collect::<Vec<_>>()
    };
    sqlx::query(UPSERT)
        .bind(rows.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(clock(|row| &row.phone_number))
        .bind(value(|row| &row.phone_number))
        .bind(clock(|row| &row.bsuid))
        .bind(value(|row| &row.bsuid))
        .bind(rows.values().map(|row| row.kapso_id.as_deref()).collect::<Vec<_>>())
        .bind(clock(|row| &row.name))
        .bind(value(|row| &row.name))
        .bind(clock(|row| &row.username))
        .bind(value(|row| &row.username))
        .bind(clock(|row| &row.marketing))
        .bind(value(|row| &row.marketing))
        .bind(rows.values().map(|row| row.created_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
