//! The archive: every authenticated webhook, byte for byte (`webhooks`), what could not be
//! projected of it (`dead_letters`), and the slow lane that works on what is pending.

pub mod again;
pub mod dead_letters;
pub mod letters;
mod partitions;
pub(crate) mod pending;
pub mod selection;
pub mod slow_lane;

pub use partitions::{Partitions, ensure_from};

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use contract::{
    envelope::{Envelope, Hints, WebhookId},
    kind::Kind,
};
use sqlx::{FromRow, PgConnection, types::Json};
use time::OffsetDateTime;

use crate::event::Dialect;

/// What became of a webhook at the moment it is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its events are projected in the same transaction.
    Projected,
    /// The slow lane will project it.
    Pending,
    /// The whole of it is a dead letter, made in the same transaction.
    Dead,
}

impl Disposition {
    /// As figures and logs name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Projected => "projected",
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

/// A webhook on its way into the archive.
pub struct Entry<'a> {
    /// The webhook.
    pub webhook: &'a Envelope,
    /// Its dialect, where it has been decoded.
    pub dialect: Option<Dialect>,
    /// What became of it.
    pub disposition: Disposition,
}

/// A webhook as the table has it.
#[derive(FromRow)]
struct Row {
    id: Vec<u8>,
    kind: String,
    received_at: OffsetDateTime,
    headers: Json<BTreeMap<String, String>>,
    verified_by: String,
    body: Vec<u8>,
}

impl Row {
    /// The webhook as it came.
    ///
    /// # Errors
    /// Where the id has not its 32 bytes; the table's CHECK lets no such one in.
    fn webhook(self) -> sqlx::Result<Envelope> {
        let Self { id, kind, received_at, headers: Json(headers), verified_by, body } = self;
        let mut hints = Hints::default();
        for (name, value) in headers {
            hints.offer(&name, value.as_bytes());
        }
        let id = WebhookId::from_bytes(&id)
            .ok_or_else(|| sqlx::Error::Decode("an id without its 32 bytes".into()))?;
        Ok(Envelope::recall(id, Kind::new(&kind), received_at, verified_by, hints, body.into()))
    }
}

/// Archives webhooks; those that are there already stay as they are. The ids of the others,
/// which are new.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn insert(tx: &mut PgConnection, entries: &[Entry<'_>]) -> sqlx::Result<HashSet<WebhookId>> {
    // No conflict target: what is unique is unique within its partition.
    const INSERT: &str =
        "INSERT INTO webhooks (id, received_at, kind, dialect, headers, verified_by, body, projected_at, dead_at)
         SELECT id, received_at, kind, dialect, headers, verified_by, body,
                CASE disposition WHEN 'projected' THEN now() END, CASE disposition WHEN 'dead' THEN now() END
         FROM UNNEST($1::bytea[], $2::timestamptz[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::bytea[], $8::text[])
         AS new (id, received_at, kind, dialect, headers, verified_by, body, disposition)
         ON CONFLICT DO NOTHING
         RETURNING id";
    if entries.is_empty() {
        return Ok(HashSet::new());
    }
    let all = || entries.iter();
    let new: Vec<Vec<u8>> = sqlx::query_scalar(INSERT)
        .bind(all().map(|entry| entry.webhook.id.as_bytes()).collect::<Vec<_>>())
        .bind(all().map(|entry| entry.webhook.received_at).collect::<Vec<_>>())
        .bind(all().map(|entry| storable(entry.webhook.kind.as_str())).collect::<Vec<_>>())
        .bind(all().map(|entry| entry.dialect.map(Dialect::name)).collect::<Vec<_>>())
        .bind(all().map(|entry| headers(&entry.webhook.hints)).collect::<Vec<_>>())
        .bind(all().map(|entry| storable(&entry.webhook.verified_by)).collect::<Vec<_>>())
        .bind(all().map(|entry| entry.webhook.body.as_ref()).collect::<Vec<_>>())
        .bind(all().map(|entry| entry.disposition.name()).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    Ok(new.iter().filter_map(|id| WebhookId::from_bytes(id)).collect())
}

fn headers(hints: &Hints) -> Json<BTreeMap<&str, Cow<'_, str>>> {
    Json(hints.iter().map(|(name, value)| (name, storable(value))).collect())
}

/// Postgres refuses U+0000 in a text.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}
