//! What a transaction that is still open has changed, row by row.
//!
//! Postgres marks each version of a row with the transaction that made it (`xmin`) and with the
//! one that replaced it (`xmax`). The transaction itself sees the new versions; another
//! connection still sees the old ones. So nothing that projects need know that it is watched.
//! The price is a scan of every table: this is for looking, not for the road.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool, types::Json};

/// A row, by column.
pub type Row = Map<String, Value>;

/// The tables that are watched, with the columns of their keys. The archive is not: its bodies
/// never change, and it is large.
const TABLES: [(&str, &[&str]); 12] = [
    ("contacts", &["id"]),
    ("contact_aliases", &["alias"]),
    ("conversations", &["id"]),
    ("messages", &["id"]),
    ("message_aliases", &["alias"]),
    ("message_statuses", &["message_id", "status", "occurred_at"]),
    ("reactions", &["message_id", "reactor"]),
    ("subjects", &["kind", "id"]),
    ("subject_events", &["kind", "id", "event", "occurred_at"]),
    ("lanes", &["id"]),
    ("effects", &["id"]),
    ("dead_letters", &["id"]),
];

macro_rules! versions {
    ($mark:literal, $first:literal $(, $more:literal)*) => {
        concat!(
            "SELECT '", $first, "', to_jsonb(it) FROM ", $first, " it WHERE ", $mark, " = $1::xid"
            $(, " UNION ALL SELECT '", $more, "', to_jsonb(it) FROM ", $more, " it WHERE ", $mark, " = $1::xid")*
        )
    };
    ($mark:literal) => {
        versions!(
            $mark, "contacts", "contact_aliases", "conversations", "messages", "message_aliases",
            "message_statuses", "reactions", "subjects", "subject_events", "lanes", "effects", "dead_letters"
        )
    };
}

/// A row that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its table.
    pub table: &'static str,
    /// As it was; none where it is new.
    pub before: Option<Row>,
    /// As it is; none where it is gone: merged into another.
    pub after: Option<Row>,
}

/// The rows that change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// What `tx` has changed; `pool` gives the connection that sees what was before.
    pub(super) async fn of(tx: &mut PgConnection, pool: &PgPool) -> sqlx::Result<Self> {
        type Rows = Vec<(String, Json<Row>)>;
        let this: Option<String> = sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned()::xid::text")
            .fetch_one(&mut *tx)
            .await?;
        let Some(this) = this else { return Ok(Self::default()) };
        // It is idle while the other connection scans.
        sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *tx).await?;
        let before: Rows = sqlx::query_as(versions!("xmax")).bind(&this).fetch_all(pool).await?;
        let mut after: Rows = sqlx::query_as(versions!("xmin")).bind(&this).fetch_all(&mut *tx).await?;
        // What it has only locked is marked as well; it still sees that.
        let locked: Rows = sqlx::query_as(versions!("xmax")).bind(&this).fetch_all(tx).await?;
        after.extend(locked);

        let mut pairs: BTreeMap<(usize, String), (Option<Row>, Option<Row>)> = BTreeMap::new();
        for (table, Json(row)) in before {
            let key = key(&table, &row);
            pairs.entry(key).or_default().0 = Some(row);
        }
        for (table, Json(row)) in after {
            let key = key(&table, &row);
            pairs.entry(key).or_default().1 = Some(row);
        }
        let changes = pairs.into_iter().filter(|(_, (before, after))| before != after);
        let changes = changes.filter_map(|((table, _), (before, after))| {
            Some(Change { table: TABLES.get(table)?.0, before, after })
        });
        Ok(Self(changes.collect()))
    }

    /// Adds those of the next transaction.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl Change {
    /// The values of its key.
    pub fn key(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let row = self.after.as_ref().or(self.before.as_ref());
        let columns = TABLES.iter().find(|(name, _)| *name == self.table).map_or(&[][..], |(_, key)| key);
        columns.iter().filter_map(move |column| Some((*column, row?.get(*column)?)))
    }
}

/// The place of a table and the key of a row, to sort and to pair by.
fn key(table: &str, row: &Row) -> (usize, String) {
    let place = TABLES.iter().position(|(name, _)| *name == table).unwrap_or(TABLES.len());
    let columns = TABLES.get(place).map_or(&[][..], |(_, key)| key);
    let key = columns.iter().map(|column| row.get(*column).map(Value::to_string).unwrap_or_default());
    (place, key.collect::<Vec<_>>().join(" "))
}
