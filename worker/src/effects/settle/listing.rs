//! Asking Kapso's listings for replies in doubt. What is found there is stored as a webhook
//! of dialect `backfill`, like what a check for gaps finds, and settles its reply as any webhook
//! does; that it is missing is noted.

use std::{collections::BTreeSet, time::Duration};

use contract::envelope::Envelope;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    ask::{AskError, Asker},
    claim::same_text,
    decide::{HORIZON, pause_after},
    due::{Due, Group, note_absent, put_off},
};
use crate::{
    event::Direction,
    fault::Fault,
    gaps::{Listed, OfConversation, OfNumber, Raw, Window, not_known},
    kapso::{ApiStyle, effect_of_callback},
    outage::in_time,
    store::{Batch, Store},
};

/// How much later than now a message may be written, by Kapso's clock.
const AHEAD: Duration = Duration::from_secs(600);

/// When to ask again where it is not the time to ask.
const NOT_NOW: Duration = Duration::from_secs(5);

/// What a listing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameTo {
    /// It was read to its end, and this many messages were stored.
    Whole(usize),
    /// It failed, or did not say enough: it proves nothing.
    Failed,
    /// It was not asked for.
    PutOff,
}

impl CameTo {
    /// As the figures name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Whole(_) => "done",
            Self::Failed => "failed",
            Self::PutOff => "put_off",
        }
    }
}

/// Asks about a group, and notes what came of it.
pub(super) async fn ask(
    store: &Store,
    asker: &Asker<'_>,
    group: &Group,
    patience: Duration,
) -> Result<CameTo, AskError> {
    let found = match read(asker, group).await {
        Ok(found) => in_time(keep(store, asker.client.style(), group, found)).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(stored) => {
            in_time(note_absent(asker, group, patience)).await?;
            Ok(CameTo::Whole(stored))
        }
        Err(AskError::Failed(why)) => {
            tracing::warn!(effects = group.due.len(), why, "a listing proves nothing about replies in doubt");
            for due in &group.due {
                in_time(put_off(asker, due, pause_after(due.failures + 1), 1)).await?;
            }
            Ok(CameTo::Failed)
        }
        Err(AskError::NotNow | AskError::Stopped | AskError::Lost) => {
            for due in &group.due {
                in_time(put_off(asker, due, NOT_NOW, 0)).await?;
            }
            Ok(CameTo::PutOff)
        }
        Err(error @ AskError::Database(_)) => Err(error),
    }
}

/// Reads the listing to its end; the messages of ours in it that may be one of the replies.
async fn read(asker: &Asker<'_>, group: &Group) -> Result<Vec<Listed>, AskError> {
    let window = Window { since: group.since, until: group.asked_at + AHEAD };
    let mut found = Vec::new();
    // The first page is not waited for; a later one is, for as long as the replies are not given up.
    let (until, mut begun_until) = (Instant::now() + HORIZON, None);
    let endless = |error: crate::gaps::GapError| AskError::Failed(error.to_string());
    match asker.client.style() {
        ApiStyle::MetaProxy => {
            let mut pages = OfNumber::new(&group.asked_of, window);
            while let Some(asked) = pages.next() {
                let page = asker.page(&group.asked_of, &asked, begun_until.replace(until)).await?;
                group.sift(pages.take(page).map_err(endless)?, window, &mut found)?;
            }
        }
        ApiStyle::Conversation => {
            let mut pages = OfConversation::new(&group.asked_of, window.since, group.beside());
            while let Some(asked) = pages.next() {
                let page = asker.page(&group.asked_of, &asked, begun_until.replace(until)).await?;
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
                _ if !self.is_looked_for(&listed) => {}
                // It is evidence only if it is ours, and none for its absence if it may be.
                _ if listed.direction.is_none() => {
                    return Err(AskError::Failed(
                        "the listing holds a message without its direction".to_owned(),
                    ));
                }
                _ => found.push(listed),
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

/// Stores what is in one of the lanes and is not known; how much that was. What a conversation lists is in its lane,
/// whatever number Kapso has for whom it is with: people's numbers are written in several ways, and change.
async fn keep(store: &Store, style: ApiStyle, group: &Group, found: Vec<Listed>) -> Result<usize, AskError> {
    let found = match style {
        ApiStyle::Conversation => found,
        ApiStyle::MetaProxy => in_lanes(store, group, found).await?,
    };
    let webhooks: Vec<Envelope> =
        not_known(&store.pool, found).await?.into_iter().map(|listed| listed.webhook).collect();
    if webhooks.is_empty() {
        return Ok(0);
    }
    match store.take(&Batch::of(&webhooks)).await {
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
        // Lanes of conversations: which of them a message is in is looked at when it is stored.
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::event::Listing;

    const BEGAN: OffsetDateTime = datetime!(2026-11-25 10:00 UTC);

    fn group() -> Group {
        let due = Due {
            effect_id: 7,
            attempt: 1,
            since: BEGAN,
            deadline: BEGAN,
            absent_at: None,
            failures: 0,
            body: Some("¿En qué?".to_owned()),
            recipient: Some("569".to_owned()),
            phone_number_id: Some("2077".to_owned()),
            contact_id: Some("569".to_owned()),
            asked_of: "2077".to_owned(),
            asked_at: BEGAN,
        };
        let since = BEGAN - time::Duration::seconds(10);
        Group { due: vec![due], asked_of: "2077".to_owned(), asked_at: BEGAN, since }
    }

    /// How many messages of a page are taken for the reply; none where the page proves nothing.
    fn sifted(messages: &[Value]) -> Option<usize> {
        let (group, mut found) = (group(), Vec::new());
        let window = Window { since: group.since, until: BEGAN + AHEAD };
        let raw = |message: &Value| {
            let beside = Map::from_iter([("phone_number_id".to_owned(), json!("2077"))]);
            Raw { listing: Listing::MetaProxy, message: message.clone(), beside }
        };
        group.sift(messages.iter().map(raw).collect(), window, &mut found).ok()?;
        Some(found.len())
    }

    fn said(seconds: i64, direction: &str, more: &Value) -> Value {
        let at = BEGAN.unix_timestamp() + seconds;
        let [from, to] = if direction == "inbound" { ["569", "562"] } else { ["562", "569"] };
        let mut message = json!({
            "id": "wamid.1", "timestamp": at.to_string(), "type": "text", "to": to, "from": from,
            "text": { "body": "¿En qué?" }, "kapso": { "direction": direction },
        });
        if let (Value::Object(message), Value::Object(more)) = (&mut message, more) {
            message.extend(more.clone());
        }
        message
    }

    #[test]
    fn what_may_be_the_reply_is_found() {
        assert_eq!(sifted(&[]), Some(0));
        assert_eq!(sifted(&[said(1, "outbound", &json!({})), said(2, "inbound", &json!({}))]), Some(1));
        assert_eq!(sifted(&[said(-11, "outbound", &json!({}))]), Some(0), "before");
        assert_eq!(sifted(&[said(1, "outbound", &json!({ "text": { "body": "Adiós" } }))]), Some(0));
        let status = json!({ "id": "wamid.1", "status": "sent", "timestamp": "1795600801",
            "biz_opaque_callback_data": "buzon:effect:7" });
        let kapso = json!({ "direction": "outbound", "statuses": [status] });
        let echoes = json!({ "text": { "body": "(shown otherwise)" }, "kapso": kapso });
        assert_eq!(sifted(&[said(1, "outbound", &echoes)]), Some(1), "by its echo");
    }

    #[test]
    fn what_can_not_be_told_proves_nothing() {
        let image = json!({ "type": "image", "image": { "id": "1" } });
        assert_eq!(sifted(&[said(1, "outbound", &image)]), Some(0));
        for odd in [json!({ "text": null }), json!({ "type": null, "text": null }), json!({ "id": null })] {
            assert_eq!(sifted(&[said(1, "outbound", &odd)]), None, "{odd}");
        }
        assert_eq!(sifted(&[said(1, "outbound", &json!({ "timestamp": "soon" }))]), None);
        assert_eq!(sifted(&[json!(7)]), None);
    }
}
