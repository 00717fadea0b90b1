//! Which of the listed messages we have, and how much of them.

use sqlx::PgPool;

use super::{
    listed::{Got, Listed},
    report::What,
};
use crate::event::Direction;

/// How far apart the clocks of a webhook and a listing may be about one message: a message
/// without a time of its own has the time of its arrival, and the sender tries for minutes.
const LOOKALIKE_SECONDS: f64 = 180.0;

/// How we stand to a listed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// We have it, and know as much.
    Known,
    /// We lack it, or something of it.
    Lacking(What),
    /// No event of this name did, but one that may well be the same.
    Lookalike,
}

/// How we stand to each of these.
pub(super) async fn look(pool: &PgPool, listed: &[Listed]) -> sqlx::Result<Vec<Standing>> {
    let mut standings = compare(pool, listed).await?;
    for place in lookalikes(pool, listed, &standings).await? {
        if let Some(standing) = standings.get_mut(place) {
            *standing = Standing::Lookalike;
        }
    }
    Ok(standings)
}

/// Those of which we lack something, by their names alone: words say nothing here.
///
/// # Errors
/// When Postgres refuses or is away.
pub(crate) async fn not_known(pool: &PgPool, listed: Vec<Listed>) -> sqlx::Result<Vec<Listed>> {
    let standings = compare(pool, &listed).await?;
    let lacking = listed.into_iter().zip(standings).filter(|(_, standing)| *standing != Standing::Known);
    Ok(lacking.map(|(listed, _)| listed).collect())
}

/// A message is known when an event told of it, and not only of a status, a reaction or a
/// silence after it: then it has a time.
async fn compare(pool: &PgPool, listed: &[Listed]) -> sqlx::Result<Vec<Standing>> {
    const SELECT: &str = "SELECT place, bool_or(sent_at IS NOT NULL), bool_or(delivered_at IS NOT NULL),
                bool_or(read_at IS NOT NULL), bool_or(failed_at IS NOT NULL), bool_or(body IS NOT NULL)
         FROM UNNEST($1::bigint[], $2::text[]) AS asked (place, name)
         LEFT JOIN message_aliases ON alias = name
         JOIN messages ON messages.id = COALESCE(message_aliases.id, name)
         GROUP BY place HAVING bool_or(occurred_at IS NOT NULL)";
    type Row = (i64, bool, bool, bool, bool, bool);
    let named = listed
        .iter()
        .zip(0_i64..)
        .flat_map(|(item, place)| item.names.iter().map(move |name| (place, name.as_str())));
    let (places, names): (Vec<i64>, Vec<&str>) = named.unzip();
    let rows: Vec<Row> = sqlx::query_as(SELECT).bind(places).bind(names).fetch_all(pool).await?;
    let mut standings = vec![Standing::Lacking(What::Message); listed.len()];
    for (place, sent, delivered, read, failed, has_text) in rows {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let ours = Got { sent, delivered, read, failed };
        if let (Some(standing), Some(item)) = (standings.get_mut(place), listed.get(place)) {
            *standing = if item.is_text() && !has_text {
                Standing::Lacking(What::Text)
            } else if ours.covers(item.got) {
                Standing::Known
            } else {
                Standing::Lacking(What::Status)
            };
        }
    }
    Ok(standings)
}

/// Of the missing ones, those that may be a message that we have under the other kind of name
/// alone: the guide's webhooks give Kapso's, the Meta proxy lists WhatsApp's, and nothing
/// links the two. Same person, same way, same words, about the same time.
async fn lookalikes(pool: &PgPool, listed: &[Listed], standings: &[Standing]) -> sqlx::Result<Vec<usize>> {
    const SELECT: &str =
        "SELECT place FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[])
             AS asked (place, contact, direction, body, at, by_wamid)
         WHERE EXISTS (
            SELECT FROM contact_aliases JOIN messages ON contact_id = contact_aliases.id
            WHERE alias = contact
              AND occurred_at BETWEEN at - make_interval(secs => $7) AND at + make_interval(secs => $7)
              AND messages.direction IS NOT DISTINCT FROM asked.direction
              AND messages.body IS NOT DISTINCT FROM asked.body
              AND (messages.id LIKE 'wamid.%') <> by_wamid
              AND NOT EXISTS (SELECT FROM message_aliases linked WHERE linked.id = messages.id AND linked.alias <> messages.id))";
    let asked: Vec<(i64, &Listed, bool)> = listed
        .iter()
        .zip(standings)
        .zip(0_i64..)
        .filter(|((_, standing), _)| **standing == Standing::Lacking(What::Message))
        .filter_map(|((item, _), place)| Some((place, item, item.one_kind_of_name()?)))
        .collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let all = || asked.iter().map(|(_, item, _)| *item);
    let places: Vec<i64> = sqlx::query_scalar(SELECT)
        .bind(asked.iter().map(|(place, ..)| *place).collect::<Vec<_>>())
        .bind(all().map(|item| item.contact.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|item| item.direction.map(Direction::name)).collect::<Vec<_>>())
        .bind(all().map(|item| item.body.as_deref()).collect::<Vec<_>>())
        .bind(all().map(|item| item.at).collect::<Vec<_>>())
        .bind(asked.iter().map(|(.., by_wamid)| *by_wamid).collect::<Vec<_>>())
        .bind(LOOKALIKE_SECONDS)
        .fetch_all(pool)
        .await?;
    Ok(places.into_iter().filter_map(|place| usize::try_from(place).ok()).collect())
}
