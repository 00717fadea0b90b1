//! The table `messages`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::registers::{First, Latest, Party, Ranked, greatest, least};
use crate::event::{Direction, Moment};

/// One row, as far as a slice of events knows it.
#[derive(Debug, Default)]
pub(super) struct MessageRow {
    pub(super) conversation_id: Option<String>,
    pub(super) contact: Option<Party>,
    pub(super) phone_number_id: Option<String>,
    pub(super) group_id: Option<String>,
    pub(super) direction: Option<Direction>,
    pub(super) origin: Option<String>,
    pub(super) kind: Ranked,
    pub(super) body: Body,
    pub(super) edited_at: Option<OffsetDateTime>,
    pub(super) deleted_at: Option<OffsetDateTime>,
    pub(super) media: Ranked,
    pub(super) context: Ranked,
    pub(super) content: Ranked,
    pub(super) occurred: Occurred,
    pub(super) sent: First,
    pub(super) delivered: First,
    pub(super) read: First,
    pub(super) failed: First,
    pub(super) error: Latest,
    pub(super) callback_data: Option<String>,
}

/// When a message was written. A time of its own outranks one noted on arrival, in any
/// dialect; then the dialect counts, then the greater time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Occurred {
    rank: i16,
    at: Option<OffsetDateTime>,
}

impl Occurred {
    pub(super) fn new(dialect_rank: i16, moment: Moment) -> Self {
        const TIMED: i16 = 100;
        let rank = if moment.timed { dialect_rank + TIMED } else { dialect_rank };
        Self { rank, at: Some(moment.at) }
    }
}

/// The text of a message: that of the latest edit, else the best-informed original.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Body {
    /// When the edit was made that it is the text of; none: nobody has edited it.
    edited: Option<i64>,
    text: Ranked,
}

impl Body {
    /// The text with which the message was sent.
    pub(super) fn written(dialect_rank: i16, text: Option<String>) -> Self {
        Self { edited: None, text: Ranked::new(dialect_rank, text) }
    }

    /// The text that an edit gave it. An edit without a text changes something else.
    pub(super) fn edited(at: Moment, dialect_rank: i16, text: Option<String>) -> Self {
        let edited = text.is_some().then(|| at.clock());
        Self { edited, text: Ranked::new(dialect_rank, text) }
    }
}

impl MessageRow {
    pub(super) fn join(&mut self, other: Self) {
        greatest(&mut self.conversation_id, other.conversation_id);
        least(&mut self.contact, other.contact);
        greatest(&mut self.phone_number_id, other.phone_number_id);
        greatest(&mut self.group_id, other.group_id);
        least(&mut self.direction, other.direction);
        greatest(&mut self.origin, other.origin);
        self.kind.join(other.kind);
        greatest(&mut self.body, other.body);
        greatest(&mut self.edited_at, other.edited_at);
        least(&mut self.deleted_at, other.deleted_at);
        self.media.join(other.media);
        self.context.join(other.context);
        self.content.join(other.content);
        greatest(&mut self.occurred, other.occurred);
        self.sent.join(other.sent);
        self.delivered.join(other.delivered);
        self.read.join(other.read);
        self.failed.join(other.failed);
        self.error.join(other.error);
        greatest(&mut self.callback_data, other.callback_data);
    }
}

/// Every column that is not derived, in the order of both statements below.
macro_rules! columns {
    () => {
        "conversation_id, contact_alias, contact_id, phone_number_id, direction, origin,
         type_rank, type, body_rank, body, media_rank, media, context_rank, context, content_rank, content,
         occurred_rank, occurred_at, sent_timed, sent_at, delivered_timed, delivered_at,
         read_timed, read_at, failed_timed, failed_at, error_clock, error, callback_data,
         group_id, body_clock, edited_at, deleted_at"
    };
}

/// How a row meets one that is there. `direction` is the lesser: inbound wins.
macro_rules! on_conflict {
    () => {
        " ON CONFLICT (id) DO UPDATE SET
            conversation_id = GREATEST(old.conversation_id, EXCLUDED.conversation_id),
            contact_id = CASE WHEN old.contact_alias <= EXCLUDED.contact_alias THEN old.contact_id
                              ELSE COALESCE(EXCLUDED.contact_id, old.contact_id) END,
            contact_alias = LEAST(old.contact_alias, EXCLUDED.contact_alias),
            phone_number_id = GREATEST(old.phone_number_id, EXCLUDED.phone_number_id),
            direction = LEAST(old.direction, EXCLUDED.direction),
            origin = GREATEST(old.origin, EXCLUDED.origin),
            type = ranked_of(old.type_rank, old.type, EXCLUDED.type_rank, EXCLUDED.type),
            type_rank = GREATEST(old.type_rank, EXCLUDED.type_rank),
            body = edited_of(old.body_clock, old.body_rank, old.body, EXCLUDED.body_clock, EXCLUDED.body_rank, EXCLUDED.body),
            body_rank = CASE WHEN old.body_clock IS NOT DISTINCT FROM EXCLUDED.body_clock
                             THEN GREATEST(old.body_rank, EXCLUDED.body_rank)
                             WHEN old.body_clock IS NULL OR EXCLUDED.body_clock > old.body_clock
                             THEN EXCLUDED.body_rank ELSE old.body_rank END,
            body_clock = GREATEST(old.body_clock, EXCLUDED.body_clock),
            group_id = GREATEST(old.group_id, EXCLUDED.group_id),
            edited_at = GREATEST(old.edited_at, EXCLUDED.edited_at),
            deleted_at = LEAST(old.deleted_at, EXCLUDED.deleted_at),
            media = ranked_of(old.media_rank, old.media::text, EXCLUDED.media_rank, EXCLUDED.media::text)::json,
            media_rank = GREATEST(old.media_rank, EXCLUDED.media_rank),
            context = ranked_of(old.context_rank, old.context::text, EXCLUDED.context_rank, EXCLUDED.context::text)::json,
            context_rank = GREATEST(old.context_rank, EXCLUDED.context_rank),
            content = ranked_of(old.content_rank, old.content::text, EXCLUDED.content_rank, EXCLUDED.content::text)::json,
            content_rank = GREATEST(old.content_rank, EXCLUDED.content_rank),
            occurred_at = CASE WHEN EXCLUDED.occurred_rank > old.occurred_rank THEN EXCLUDED.occurred_at
                               WHEN EXCLUDED.occurred_rank = old.occurred_rank
                               THEN GREATEST(old.occurred_at, EXCLUDED.occurred_at)
                               ELSE old.occurred_at END,
            occurred_rank = GREATEST(old.occurred_rank, EXCLUDED.occurred_rank),
            sent_at = first_of(old.sent_at, old.sent_timed, EXCLUDED.sent_at, EXCLUDED.sent_timed),
            sent_timed = old.sent_timed OR EXCLUDED.sent_timed,
            delivered_at = first_of(old.delivered_at, old.delivered_timed, EXCLUDED.delivered_at, EXCLUDED.delivered_timed),
            delivered_timed = old.delivered_timed OR EXCLUDED.delivered_timed,
            read_at = first_of(old.read_at, old.read_timed, EXCLUDED.read_at, EXCLUDED.read_timed),
            read_timed = old.read_timed OR EXCLUDED.read_timed,
            failed_at = first_of(old.failed_at, old.failed_timed, EXCLUDED.failed_at, EXCLUDED.failed_timed),
            failed_timed = old.failed_timed OR EXCLUDED.failed_timed,
            error = latest_of(old.error_clock, old.error::text, EXCLUDED.error_clock, EXCLUDED.error::text)::json,
            error_clock = GREATEST(old.error_clock, EXCLUDED.error_clock),
            callback_data = GREATEST(old.callback_data, EXCLUDED.callback_data)"
    };
}

const UPSERT: &str = concat!(
    "INSERT INTO messages AS old (id, ",
    columns!(),
    ") SELECT id, conversation_id, contact_alias, contact_id, phone_number_id, direction, origin,
         type_rank, type, body_rank, body, media_rank, media::json, context_rank, context::json,
         content_rank, content::json, occurred_rank, occurred_at, sent_timed, sent_at,
         delivered_timed, delivered_at, read_timed, read_at, failed_timed, failed_at, error_clock, error::json, callback_data,
         group_id, body_clock, edited_at, deleted_at
       FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::smallint[], $9::text[], $10::smallint[], $11::text[], $12::smallint[], $13::text[],
         $14::smallint[], $15::text[], $16::smallint[], $17::text[], $18::smallint[], $19::timestamptz[],
         $20::boolean[], $21::timestamptz[], $22::boolean[], $23::timestamptz[],
         $24::boolean[], $25::timestamptz[], $26::boolean[], $27::timestamptz[], $28::bigint[], $29::text[], $30::text[],
         $31::text[], $32::bigint[], $33::timestamptz[], $34::timestamptz[])
       AS new (id, ",
    columns!(),
    ")",
    on_conflict!()
);

/// Merges the row `$1` into the row `$2`.
pub(super) const MERGE: &str = concat!(
    "INSERT INTO messages AS old (id, ",
    columns!(),
    ") SELECT $2, ",
    columns!(),
    " FROM messages WHERE id = $1",
    on_conflict!()
);

/// Takes from the shadow (see [`super::shadow`]) the rows that are not there. `status` is derived
/// and can't be given.
pub(super) const FROM_SHADOW: &str = concat!(
    "INSERT INTO messages (id, ",
    columns!(),
    ") SELECT id, ",
    columns!(),
    " FROM pg_temp.messages new WHERE NOT EXISTS (SELECT FROM messages old WHERE new.id = old.id)"
);

/// Merges rows into the table.
pub(super) async fn upsert(tx: &mut PgConnection, rows: &BTreeMap<String, MessageRow>) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&MessageRow) -> &Option<String>| {
        rows.values().map(|row| of(row).as_deref()).collect::<Vec<_>>()
    };
    let rank = |of: fn(&MessageRow) -> i16| rows.values().map(of).collect::<Vec<_>>();
    let timed = |of: fn(&MessageRow) -> First| rows.values().map(|row| of(row).timed()).collect::<Vec<_>>();
    let instant =
        |of: fn(&MessageRow) -> First| rows.values().map(|row| of(row).instant()).collect::<Vec<_>>();
    sqlx::query(UPSERT)
        .bind(rows.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(text(|row| &row.conversation_id))
        .bind(rows.values().map(|row| row.contact.as_ref().map(|it| it.alias.as_str())).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.contact.as_ref().map(|it| it.id.as_str())).collect::<Vec<_>>())
        .bind(text(|row| &row.phone_number_id))
        .bind(rows.values().map(|row| row.direction.map(Direction::name)).collect::<Vec<_>>())
        .bind(text(|row| &row.origin))
        .bind(rank(|row| row.kind.rank))
        .bind(text(|row| &row.kind.value))
        .bind(rank(|row| row.body.text.rank))
        .bind(text(|row| &row.body.text.value))
        .bind(rank(|row| row.media.rank))
        .bind(text(|row| &row.media.value))
        .bind(rank(|row| row.context.rank))
        .bind(text(|row| &row.context.value))
        .bind(rank(|row| row.content.rank))
        .bind(text(|row| &row.content.value))
        .bind(rank(|row| row.occurred.rank))
        .bind(rows.values().map(|row| row.occurred.at).collect::<Vec<_>>())
        .bind(timed(|row| row.sent))
        .bind(instant(|row| row.sent))
        .bind(timed(|row| row.delivered))
        .bind(instant(|row| row.delivered))
        .bind(timed(|row| row.read))
        .bind(instant(|row| row.read))
        .bind(timed(|row| row.failed))
        .bind(instant(|row| row.failed))
        .bind(rows.values().map(|row| row.error.clock).collect::<Vec<_>>())
        .bind(text(|row| &row.error.value))
        .bind(text(|row| &row.callback_data))
        .bind(text(|row| &row.group_id))
        .bind(rows.values().map(|row| row.body.edited).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.edited_at).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.deleted_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
