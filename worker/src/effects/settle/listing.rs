//! Asking Kapso's listings for replies in doubt. What is found there is stored as a webhook
//! of dialect `backfill`, like what a check for gaps finds, and settles its reply as any webhook
//! does; that it is missing is noted.

use std::{collections::BTreeSet, time::Duration};

use contract::envelope::Envelope;
use serde_json::{Map, Value, json};
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::{
    ask::{AskError, Asker, LEASE_SECONDS},
    claim::{CLOCKS, same_text},
    decide::{Doubt, HORIZON, pause_after},
};
use crate::{
    event::Direction,
    fault::Fault,
    gaps::{Listed, OfConversation, OfNumber, Raw, Window, not_known},
    kapso::{ApiStyle, effect_of_callback},
    store::Store,
};

/// How much later than now a message may be written, by Kapso's clock.
const AHEAD: Duration = Duration::from_secs(600);

/// When to ask again where it is not the time to ask.
const NOT_NOW: Duration = Duration::from_secs(5);

/// A reply that is asked about.
#[derive(Debug, FromRow)]
struct Due {
    effect_id: i64,
    attempt: i32,
    since: OffsetDateTime,
    deadline: OffsetDateTime,
    absent_at: Option<OffsetDateTime>,
    failures: i32,
    expires_at: OffsetDateTime,
    body: Option<String>,
    recipient: Option<String>,
    phone_number_id: Option<String>,
    /// The contact of its lane.
    contact_id: Option<String>,
    /// Our number or the conversation whose messages are listed.
    asked_of: String,
    /// Now: before the question.
    asked_at: OffsetDateTime,
}

/// Replies that one listing can tell about.
pub(super) struct Group {
    due: Vec<Due>,
    asked_of: String,
    asked_at: OffsetDateTime,
    since: OffsetDateTime,
}

/// What a listing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// It was read to its end, and this many messages were stored.
    Whole(usize),
    /// It failed, or did not say enough: it proves nothing.
    Failed,
    /// It was not asked for.
    PutOff,
}

impl Listing {
    /// As the figures name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Whole(_) => "done",
            Self::Failed => "failed",
            Self::PutOff => "put_off",
        }
    }
}

/// Takes on the replies that one listing can tell about, if one is due, for one worker alone.
/// Others of the same number come along where their deadline has passed.
pub(super) async fn take(pool: &PgPool, style: ApiStyle, token: &str) -> sqlx::Result<Option<Group>> {
    const TAKE: &str = "WITH open AS (
            SELECT effect_id AS id, next_listing_at, lane, body, recipient, phone_number_id, expires_at,
                CASE WHEN $2 THEN phone_number_id ELSE conversation_id END AS asked_of
            FROM effect_doubts JOIN effects ON effects.id = effect_id AND attempts = attempt
            WHERE state = 'unknown' AND given_up_at IS NULL AND deadline <= now()
            AND expires_at > now() AND settled_at > now() - make_interval(secs => $3)
            AND (asked_until IS NULL OR asked_until < now())),
         first AS (
            SELECT asked_of FROM open WHERE asked_of IS NOT NULL AND next_listing_at <= now()
            ORDER BY next_listing_at, id LIMIT 1)
         UPDATE effect_doubts taken SET asked_by = $1, asked_until = now() + make_interval(secs => $4)
         FROM open JOIN first USING (asked_of) LEFT JOIN lanes ON lanes.id = open.lane
         WHERE taken.effect_id = open.id AND (asked_until IS NULL OR asked_until < now())
         RETURNING effect_id, attempt, since, deadline, absent_at, failures, expires_at, body, recipient,
            open.phone_number_id, lanes.contact_id, asked_of, now() AS asked_at";
    let due: Vec<Due> = sqlx::query_as(TAKE)
        .bind(token)
        .bind(style == ApiStyle::MetaProxy)
        .bind(HORIZON.as_secs_f64())
        .bind(LEASE_SECONDS)
        .fetch_all(pool)
        .await?;
    let Some(first) = due.first() else { return Ok(None) };
    let (asked_of, asked_at) = (first.asked_of.clone(), first.asked_at);
    let since = due.iter().map(|due| due.since).min().unwrap_or(asked_at) - CLOCKS;
    Ok(Some(Group { asked_of, asked_at, since: since.replace_nanosecond(0).unwrap_or(since), due }))
}

/// Asks about a group, and notes what came of it.
pub(super) async fn ask(
    store: &Store,
    asker: &Asker<'_>,
    group: &Group,
    patience: Duration,
) -> Result<Listing, AskError> {
    let found = match read(asker, group).await {
        Ok(found) => keep(store, group, found).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(stored) => {
            note_absent(asker, group, patience).await?;
            Ok(Listing::Whole(stored))
        }
        Err(AskError::Failed(why)) => {
            tracing::warn!(effects = group.due.len(), why, "a listing proves nothing about replies in doubt");
            for due in &group.due {
                put_off(asker, due, pause_after(due.failures + 1), 1).await?;
            }
            Ok(Listing::Failed)
        }
        Err(AskError::NotNow | AskError::Stopped | AskError::Lost) => {
            for due in &group.due {
                put_off(asker, due, NOT_NOW, 0).await?;
            }
            Ok(Listing::PutOff)
        }
        Err(error @ AskError::Database(_)) => Err(error),
    }
}

/// Reads the listing to its end; the messages of ours in it that may be one of the replies.
async fn read(asker: &Asker<'_>, group: &Group) -> Result<Vec<Listed>, AskError> {
    let window = Window { since: group.since, until: group.asked_at + AHEAD };
    let mut found = Vec::new();
    let endless = |error: crate::gaps::GapError| AskError::Failed(error.to_string());
    match asker.client.style() {
        ApiStyle::MetaProxy => {
            let mut pages = OfNumber::new(&group.asked_of, window);
            while let Some(asked) = pages.next() {
                let page = asker.page(&group.asked_of, &asked).await?;
                group.sift(pages.take(page).map_err(endless)?, window, &mut found)?;
            }
        }
        ApiStyle::Conversation => {
            let mut pages = OfConversation::new(&group.asked_of, window.since, group.beside());
            while let Some(asked) = pages.next() {
                let page = asker.page(&group.asked_of, &asked).await?;
                let times = group.sift(pages.take(page).map_err(endless)?, window, &mut found)?;
                pages.written(&times);
            }
        }
    }
    Ok(found)
}

impl Group {
    /// Adds what may be one of the replies; when each message was written, in the order of the page.
    fn sift(
        &self,
        raws: Vec<Raw>,
        window: Window,
        found: &mut Vec<Listed>,
    ) -> Result<Vec<OffsetDateTime>, AskError> {
        let mut times = Vec::with_capacity(raws.len());
        for raw in raws {
            // What can't be read may be what is looked for.
            let listed = Listed::read(raw, window, self.asked_at)
                .map_err(|why| AskError::Failed(format!("the listing holds {why}")))?;
            times.push(listed.at);
            if listed.direction == Some(Direction::Inbound) || !window.contains(listed.at) {
                continue;
            }
            match (&listed.body, listed.kind.as_deref()) {
                (None, None | Some("text")) if listed.echoed.is_empty() => {
                    return Err(AskError::Failed("the listing holds a message without its text".to_owned()));
                }
                _ if self.is_looked_for(&listed) => found.push(listed),
                _ => {}
            }
        }
        Ok(times)
    }

    fn is_looked_for(&self, listed: &Listed) -> bool {
        let echoes =
            |due: &Due| listed.echoed.iter().any(|data| effect_of_callback(data) == Some(due.effect_id));
        let says =
            |due: &Due| due.body.as_deref().zip(listed.body.as_deref()).is_some_and(|(a, b)| same_text(a, b));
        self.due.iter().any(|due| echoes(due) || says(due))
    }

    /// What stands beside each message of a conversation, as far as we know it.
    fn beside(&self) -> Map<String, Value> {
        let first = self.due.first();
        let number = first.and_then(|due| due.recipient.as_deref());
        let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let ours = first.and_then(|due| due.phone_number_id.as_deref());
        let mut beside = Map::new();
        beside.insert("conversation".to_owned(), json!({ "id": self.asked_of, "phone_number": number }));
        beside.extend(ours.map(|ours| ("whatsapp_config".to_owned(), json!({ "phone_number_id": ours }))));
        beside
    }
}

/// Stores what is in one of the lanes and is not known; how much that was.
async fn keep(store: &Store, group: &Group, found: Vec<Listed>) -> Result<usize, AskError> {
    let found = in_lanes(store, group, found).await?;
    let webhooks: Vec<Envelope> =
        not_known(&store.pool, found).await?.into_iter().map(|listed| listed.webhook).collect();
    if webhooks.is_empty() {
        return Ok(0);
    }
    match store.take(&webhooks).await {
        Ok(()) => Ok(webhooks.len()),
        Err(Fault::Data(why)) => Err(AskError::Failed(format!("a listed message can't be stored: {why}"))),
        Err(Fault::Outage(why)) => Err(AskError::Failed(format!("a listed message is not stored: {why}"))),
    }
}

/// Those of people whom the replies went to. One of somebody whom we have never heard of by that
/// name may be any of them: numbers are written in several ways.
async fn in_lanes(store: &Store, group: &Group, found: Vec<Listed>) -> Result<Vec<Listed>, AskError> {
    let lanes: BTreeSet<&str> = group.due.iter().filter_map(|due| due.contact_id.as_deref()).collect();
    if lanes.is_empty() {
        // Lanes of conversations: their own messages alone are listed.
        return Ok(found);
    }
    let names: Vec<&str> = found.iter().filter_map(|listed| listed.contact.as_deref()).collect();
    let known: Vec<(String, String)> =
        sqlx::query_as("SELECT alias, id FROM contact_aliases WHERE alias = ANY($1)")
            .bind(&names)
            .fetch_all(&store.pool)
            .await?;
    let mut kept = Vec::new();
    for listed in found {
        let name = listed.contact.as_deref();
        match known.iter().find(|(alias, _)| Some(alias.as_str()) == name) {
            Some((_, id)) if lanes.contains(id.as_str()) => kept.push(listed),
            Some(_) => {}
            None => {
                return Err(AskError::Failed("the listing holds its text for somebody unknown".to_owned()));
            }
        }
    }
    Ok(kept)
}

/// Notes that a whole listing was asked for then. Where it had the reply, that has been stored,
/// and evidence is looked at before absence.
async fn note_absent(asker: &Asker<'_>, group: &Group, patience: Duration) -> sqlx::Result<()> {
    for due in &group.due {
        let doubt = Doubt {
            done: false,
            pending: false,
            deadline: due.deadline,
            absent_at: due.absent_at,
            absent_again_at: None,
            settled_at: None,
            expires_at: due.expires_at,
            given_up: false,
        };
        sqlx::query(
            "UPDATE effect_doubts SET absent_again_at = CASE WHEN absent_at IS NOT NULL THEN $4 END,
                absent_at = COALESCE(absent_at, $4), next_listing_at = $5, failures = 0,
                asked_by = NULL, asked_until = NULL
             WHERE effect_id = $1 AND attempt = $2 AND asked_by = $3",
        )
        .bind(due.effect_id)
        .bind(due.attempt)
        .bind(asker.token)
        .bind(group.asked_at)
        .bind(doubt.next_listing_at(group.asked_at, patience))
        .execute(asker.pool)
        .await?;
    }
    Ok(())
}

async fn put_off(asker: &Asker<'_>, due: &Due, pause: Duration, failures: i32) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE effect_doubts SET next_listing_at = now() + make_interval(secs => $3), failures = failures + $4,
            asked_by = NULL, asked_until = NULL
         WHERE effect_id = $1 AND asked_by = $2",
    )
    .bind(due.effect_id)
    .bind(asker.token)
    .bind(pause.as_secs_f64())
    .bind(failures)
    .execute(asker.pool)
    .await?;
    Ok(())
}
