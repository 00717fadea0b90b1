//! Projecting beside the tables that people read: into temporary ones of the same names, which
//! one connection alone sees, and which vanish with it whatever happens. At the end the real
//! ones are made what these are.
//!
//! Why not a second schema, and the two of them swapped: views, grants and comments belong to
//! the real tables. And temporary ones need no right to make a schema, write no write-ahead
//! log, and leave nothing to clean up.

use sqlx::PgConnection;

use super::{merge, messages};

/// Temporary tables like those that projection writes to, from which moment on the connection
/// does not see the others. The outbox and its lanes are among them, since merging touches
/// them: what is owed must not be moved by what is only being rebuilt.
const MAKE: &str = "
    CREATE TEMP TABLE contacts (LIKE contacts INCLUDING ALL);
    CREATE TEMP TABLE contact_aliases (LIKE contact_aliases INCLUDING ALL);
    CREATE TEMP TABLE conversations (LIKE conversations INCLUDING ALL);
    CREATE TEMP TABLE messages (LIKE messages INCLUDING ALL);
    CREATE TEMP TABLE message_aliases (LIKE message_aliases INCLUDING ALL);
    CREATE TEMP TABLE message_statuses (LIKE message_statuses INCLUDING ALL);
    CREATE TEMP TABLE reactions (LIKE reactions INCLUDING ALL);
    CREATE TEMP TABLE subjects (LIKE subjects INCLUDING ALL);
    CREATE TEMP TABLE subject_events (LIKE subject_events INCLUDING ALL);
    CREATE TEMP TABLE lanes (LIKE lanes INCLUDING ALL);
    CREATE TEMP TABLE effects (LIKE effects INCLUDING ALL);";

/// Nobody else does this for a temporary table, and a plan made while it was empty is slow.
const ANALYZE: &str = "
    ANALYZE pg_temp.contacts; ANALYZE pg_temp.contact_aliases; ANALYZE pg_temp.conversations;
    ANALYZE pg_temp.messages; ANALYZE pg_temp.message_aliases; ANALYZE pg_temp.message_statuses;
    ANALYZE pg_temp.reactions; ANALYZE pg_temp.subjects; ANALYZE pg_temp.subject_events;";

/// Takes away the rows that are not in the shadow as they are. Those that are the same are not
/// touched: most of the time that is all of them.
macro_rules! gone {
    ($table:literal, $same_row:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " old WHERE NOT EXISTS (SELECT FROM pg_temp.",
            $table,
            " new WHERE ",
            $same_row,
            " AND new::text = old::text)"
        )
    };
}

/// And then adds those that are missing.
macro_rules! replaced {
    ($table:literal, $same_row:literal) => {
        [
            gone!($table, $same_row),
            concat!(
                "INSERT INTO ",
                $table,
                " SELECT * FROM pg_temp.",
                $table,
                " new WHERE NOT EXISTS (SELECT FROM ",
                $table,
                " old WHERE ",
                $same_row,
                ")"
            ),
        ]
    };
}

const REPLACE: [[&str; 2]; 9] = [
    replaced!("contacts", "new.id = old.id"),
    replaced!("contact_aliases", "new.alias = old.alias"),
    replaced!("conversations", "new.id = old.id"),
    [gone!("messages", "new.id = old.id"), messages::FROM_SHADOW],
    replaced!("message_aliases", "new.alias = old.alias"),
    replaced!(
        "message_statuses",
        "new.message_id = old.message_id AND new.status = old.status AND new.occurred_at = old.occurred_at"
    ),
    replaced!("reactions", "new.message_id = old.message_id AND new.reactor = old.reactor"),
    replaced!("subjects", "new.kind = old.kind AND new.id = old.id"),
    replaced!(
        "subject_events",
        "new.kind = old.kind AND new.id = old.id AND new.event = old.event AND new.occurred_at = old.occurred_at"
    ),
];

/// Makes the temporary tables, empty.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn make(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(MAKE).execute(connection).await?;
    Ok(())
}

/// Tells Postgres how large they are by now.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn analyze(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(ANALYZE).execute(connection).await?;
    Ok(())
}

/// Makes the real tables what the temporary ones are, inside a transaction that projects alone
/// ([`super::Lock::Exclusive`]). From here on, and to its end, the connection sees the real ones.
/// How many rows were wrong or missing.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn replace(tx: &mut PgConnection) -> sqlx::Result<u64> {
    analyze(tx).await?;
    // Named last, the temporary tables hide nothing any more.
    sqlx::query("SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true)")
        .execute(&mut *tx)
        .await?;
    let mut rows = 0;
    for [delete, insert] in REPLACE {
        let deleted = sqlx::query(delete).execute(&mut *tx).await?.rows_affected();
        let inserted = sqlx::query(insert).execute(&mut *tx).await?.rows_affected();
        rows += deleted.max(inserted);
    }
    follow(tx).await?;
    Ok(rows)
}

/// What is owed follows the ids: a decoder may have learned since that two of them are one.
async fn follow(tx: &mut PgConnection) -> sqlx::Result<()> {
    let contacts: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT contact_id, alias.id FROM lanes JOIN contact_aliases alias ON alias.alias = contact_id
         WHERE alias.id <> contact_id",
    )
    .fetch_all(&mut *tx)
    .await?;
    for (old, new) in &contacts {
        merge::contacts(tx, old, new).await?;
    }
    let messages: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT named.id, alias.id
         FROM (SELECT message_id AS id FROM effects UNION SELECT sent_message_id FROM effects) named
         JOIN message_aliases alias ON alias.alias = named.id WHERE alias.id <> named.id",
    )
    .fetch_all(&mut *tx)
    .await?;
    for (old, new) in &messages {
        merge::messages(tx, old, new).await?;
    }
    Ok(())
}
