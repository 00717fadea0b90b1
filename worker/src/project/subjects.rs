//! The tables `subjects` and `subject_events`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::greatest;
use crate::event::SubjectKind;

/// What names a subject.
pub(super) type SubjectKey = (SubjectKind, String);

/// What happened to a subject at some time; the greatest is its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubjectRow {
    pub(super) clock: i64,
    pub(super) state: String,
    pub(super) details: String,
}

/// The subjects of a slice, with their histories.
#[derive(Default)]
pub(super) struct Subjects {
    rows: BTreeMap<SubjectKey, (SubjectRow, Option<String>)>,
    history: BTreeMap<(SubjectKind, String, String, OffsetDateTime), String>,
}

impl Subjects {
    pub(super) fn add(
        &mut self,
        key: SubjectKey,
        row: SubjectRow,
        at: OffsetDateTime,
        conversation: Option<String>,
    ) {
        let (kind, id) = key.clone();
        greatest(self.history.entry((kind, id, row.state.clone(), at)).or_default(), row.details.clone());
        let (kept, conversation_id) = self.rows.entry(key).or_insert_with(|| (row.clone(), None));
        greatest(kept, row);
        greatest(conversation_id, conversation);
    }

    /// Merges them into the tables.
    pub(super) async fn upsert(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO subjects AS old (kind, id, conversation_id, clock, state, details)
             SELECT kind, id, conversation_id, clock, state, details::json
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
             AS new (kind, id, conversation_id, clock, state, details)
             ON CONFLICT (kind, id) DO UPDATE SET
                conversation_id = GREATEST(old.conversation_id, EXCLUDED.conversation_id),
                details = CASE WHEN (EXCLUDED.clock, EXCLUDED.state, EXCLUDED.details::text COLLATE \"C\")
                                  > (old.clock, old.state, old.details::text COLLATE \"C\")
                               THEN EXCLUDED.details ELSE old.details END,
                state = latest_of(old.clock, old.state, EXCLUDED.clock, EXCLUDED.state),
                clock = GREATEST(old.clock, EXCLUDED.clock)",
        )
        .bind(self.rows.keys().map(|(kind, _)| kind.name()).collect::<Vec<_>>())
        .bind(self.rows.keys().map(|(_, id)| id.as_str()).collect::<Vec<_>>())
        .bind(self.rows.values().map(|(_, conversation)| conversation.as_deref()).collect::<Vec<_>>())
        .bind(self.rows.values().map(|(row, _)| row.clock).collect::<Vec<_>>())
        .bind(self.rows.values().map(|(row, _)| row.state.as_str()).collect::<Vec<_>>())
        .bind(self.rows.values().map(|(row, _)| row.details.as_str()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO subject_events AS old (kind, id, event, occurred_at, details)
             SELECT kind, id, event, occurred_at, details::json
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
             AS new (kind, id, event, occurred_at, details)
             ON CONFLICT (kind, id, event, occurred_at) DO UPDATE SET
                details = GREATEST(old.details::text COLLATE \"C\", EXCLUDED.details::text COLLATE \"C\")::json",
        )
        .bind(self.history.keys().map(|(kind, ..)| kind.name()).collect::<Vec<_>>())
        .bind(self.history.keys().map(|(_, id, ..)| id.as_str()).collect::<Vec<_>>())
        .bind(self.history.keys().map(|(_, _, event, _)| event.as_str()).collect::<Vec<_>>())
        .bind(self.history.keys().map(|(.., at)| *at).collect::<Vec<_>>())
        .bind(self.history.values().map(String::as_str).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        Ok(())
    }
}
