//! Choosing webhooks from the archive, and reading them page by page in the order in which
//! they were received.

use std::fmt;

use contract::envelope::{Envelope, WebhookId};
use futures_util::TryStreamExt as _;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use time::OffsetDateTime;

use super::Row;

/// How many webhooks are read, and projected in one transaction.
pub const PAGE_ROWS: usize = 250;

/// A page ends early at so many bytes of bodies.
const PAGE_BYTES: usize = 32 * 1024 * 1024;

/// Which webhooks; what is none does not restrict.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// With one of these ids.
    pub ids: Option<Vec<WebhookId>>,
    /// Of one of these kinds.
    pub kinds: Option<Vec<String>>,
    /// Whose body names one of these.
    pub names: Option<Vec<String>>,
    /// Received then or later.
    pub since: Option<OffsetDateTime>,
    /// Received before then.
    pub until: Option<OffsetDateTime>,
}

/// What a selection holds.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Survey {
    /// How many webhooks the worker is done with: projected, or dead letters.
    pub done: i64,
    /// How many are pending.
    pub pending: i64,
    /// When the first of those done was received.
    pub first: Option<OffsetDateTime>,
    /// When the last of them was.
    pub last: Option<OffsetDateTime>,
}

/// A webhook that the worker is done with.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The webhook.
    pub webhook: Envelope,
    /// Whether it is a dead letter, or has some that are open.
    pub flagged: bool,
}

/// A place in the archive: behind this webhook.
pub type Place = (OffsetDateTime, WebhookId);

/// The columns that [`Archived`] is made of.
macro_rules! archived {
    () => {
        "SELECT id, kind, received_at, headers, verified_by, body, dead_at IS NOT NULL OR EXISTS (
            SELECT FROM dead_letters WHERE webhook_id = webhooks.id AND resolved_at IS NULL) AS flagged
         FROM webhooks WHERE "
    };
}

/// What [`Selection`] says, in its order.
macro_rules! chosen {
    () => {
        "($1::bytea[] IS NULL OR id = ANY($1)) AND ($2::text[] IS NULL OR kind = ANY($2))
         AND ($3::bytea[] IS NULL OR EXISTS (SELECT FROM unnest($3) name WHERE position(name IN body) > 0))
         AND received_at >= COALESCE($4, '-infinity'::timestamptz)
         AND received_at < COALESCE($5, 'infinity'::timestamptz)"
    };
}

impl Selection {
    /// Counts what it holds.
    ///
    /// # Errors
    /// When Postgres refuses or is away.
    pub async fn survey(&self, connection: &mut PgConnection) -> sqlx::Result<Survey> {
        const SURVEY: &str = concat!(
            "SELECT count(*) FILTER (WHERE done) AS done, count(*) FILTER (WHERE NOT done) AS pending,
                    min(received_at) FILTER (WHERE done) AS first, max(received_at) FILTER (WHERE done) AS last
             FROM (SELECT received_at, projected_at IS NOT NULL OR dead_at IS NOT NULL AS done
                   FROM webhooks WHERE ",
            chosen!(),
            ") chosen"
        );
        sqlx::query_as(SURVEY)
            .bind(self.ids())
            .bind(&self.kinds)
            .bind(self.names())
            .bind(self.since)
            .bind(self.until)
            .fetch_one(connection)
            .await
    }

    /// The next page behind `after`, received at `last` at the latest. Empty at the end.
    ///
    /// # Errors
    /// When Postgres refuses or is away.
    pub async fn page(
        &self,
        connection: &mut PgConnection,
        after: Option<Place>,
        last: OffsetDateTime,
    ) -> sqlx::Result<Vec<Archived>> {
        const PAGES: &str = concat!(
            archived!(),
            chosen!(),
            " AND (projected_at IS NOT NULL OR dead_at IS NOT NULL) AND received_at <= $8
              AND (received_at, id) > (COALESCE($6, '-infinity'::timestamptz), $7)
              ORDER BY received_at, id LIMIT $9"
        );
        let after_id: &[u8] = after.as_ref().map_or(&[], |(_, id)| id.as_bytes());
        // The bound on the time alone lets Postgres leave out the months before.
        let since = after.map(|(at, _)| at).max(self.since);
        let mut rows = sqlx::query(PAGES)
            .bind(self.ids())
            .bind(&self.kinds)
            .bind(self.names())
            .bind(since)
            .bind(self.until)
            .bind(after.map(|(at, _)| at))
            .bind(after_id)
            .bind(last)
            .bind(i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX))
            .fetch(connection);
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES
            && let Some(row) = rows.try_next().await?
        {
            let archived = Archived::from_row(&row)?;
            bytes += archived.webhook.body.len();
            page.push(archived);
        }
        Ok(page)
    }

    fn ids(&self) -> Option<Vec<&[u8]>> {
        self.ids.as_ref().map(|ids| ids.iter().map(WebhookId::as_bytes).collect())
    }

    fn names(&self) -> Option<Vec<&[u8]>> {
        self.names.as_ref().map(|names| names.iter().map(String::as_bytes).collect())
    }
}

impl FromRow<'_, PgRow> for Archived {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let webhook = Row::from_row(row)?.webhook()?;
        Ok(Self { webhook, flagged: row.try_get("flagged")? })
    }
}

/// The webhooks at these places that the worker is done with.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn at(
    connection: &mut PgConnection,
    places: &[(OffsetDateTime, Vec<u8>)],
) -> sqlx::Result<Vec<Archived>> {
    const AT: &str = concat!(
        archived!(),
        "(received_at, id) IN (SELECT * FROM UNNEST($1::timestamptz[], $2::bytea[]))
         AND (projected_at IS NOT NULL OR dead_at IS NOT NULL)"
    );
    sqlx::query_as(AT)
        .bind(places.iter().map(|(at, _)| *at).collect::<Vec<_>>())
        .bind(places.iter().map(|(_, id)| id.as_slice()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}

/// The names of a conversation and of its messages, as the bodies that speak of it hold them: in
/// quotation marks, so that one name is not found in a longer one. Some senders write numbers bare.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn names_of_conversation(connection: &mut PgConnection, id: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "WITH of_it AS (SELECT id FROM messages WHERE conversation_id = $1),
              names AS (SELECT $1 AS name UNION SELECT id FROM of_it
                        UNION SELECT alias FROM message_aliases WHERE id IN (SELECT id FROM of_it))
         SELECT CASE WHEN name ~ '^[0-9]+$' THEN name ELSE '\"' || name || '\"' END FROM names",
    )
    .bind(id)
    .fetch_all(connection)
    .await
}

/// The webhooks whose id, in hex, begins so; two at the most.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn beginning_with(
    connection: &mut PgConnection,
    prefix: &IdPrefix,
) -> sqlx::Result<Vec<WebhookId>> {
    let ids: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT DISTINCT id FROM webhooks WHERE id BETWEEN $1 AND $2 LIMIT 2")
            .bind(prefix.first.as_slice())
            .bind(prefix.last.as_slice())
            .fetch_all(connection)
            .await?;
    Ok(ids.iter().filter_map(|id| WebhookId::from_bytes(id)).collect())
}

/// The beginning of a webhook's id, in hex, as a person pastes it.
#[derive(Clone, Debug)]
pub struct IdPrefix {
    digits: String,
    first: [u8; 32],
    last: [u8; 32],
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

impl IdPrefix {
    /// Reads it for clap.
    ///
    /// # Errors
    /// What is expected, when it is none.
    pub fn read(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "give a webhook's id, or its first digits: up to 64 hexadecimal digits";
        let filled = |digit: char| {
            let mut bytes = [0; 32];
            let digits: String = text.chars().chain(std::iter::repeat(digit)).take(64).collect();
            hex::decode_to_slice(digits, &mut bytes).map(|()| bytes)
        };
        if text.is_empty() || text.len() > 64 {
            return Err(EXPECTED.to_owned());
        }
        match (filled('0'), filled('f')) {
            (Ok(first), Ok(last)) => Ok(Self { digits: text.to_lowercase(), first, last }),
            _ => Err(EXPECTED.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id() {
        let prefix = IdPrefix::read("3Fa").ok();
        let bounds = prefix.map(|it| (hex::encode(it.first), hex::encode(it.last)));
        assert_eq!(bounds, Some((format!("3fa{}", "0".repeat(61)), format!("3fa{}", "f".repeat(61)))));
        assert!(IdPrefix::read(&"0".repeat(64)).is_ok());
        for text in ["", "xyz", "3f a", "ñ", &"0".repeat(65)] {
            assert!(IdPrefix::read(text).is_err(), "{text}");
        }
    }
}
