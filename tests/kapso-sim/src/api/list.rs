//! Listings: pages by number in the conversation API, cursors in the Meta proxy.

use std::collections::HashMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{proxy, shape};
use crate::{
    clock, dialect, ids,
    reply::Reply,
    story::{Direction, Message, digits},
    world::World,
};

/// The Meta proxy's word for a message that Kapso is done with.
const PROXY: &str = "completed";
/// The platform API's word for the same.
const PLATFORM: &str = "processed";

type Query = HashMap<String, String>;

pub(super) fn conversations(world: &World, query: &Query) -> Result<Reply, Reply> {
    let items = world
        .store()
        .conversations()
        .iter()
        .rev()
        .map(|conversation| shape::v1_conversation(&world.config.line, conversation))
        .collect();
    page(items, query)
}

pub(super) fn messages(world: &World, conversation: &str, query: &Query) -> Result<Reply, Reply> {
    let store = world.store();
    if store.conversation(conversation).is_none() {
        return Err(Reply::kapso(404, "Conversation not found"));
    }
    let of = store
        .messages()
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, message)| message.conversation.id == conversation && is_listed(world, message));
    let items = of
        .map(|(place, message)| {
            let mut item = signed_anew(world, shape::v1_message(message, true));
            item["created_at"] = json!(clock::iso(store.created_at(place).unwrap_or(message.at)));
            item
        })
        .collect();
    page(items, &shortened(world, query, "per_page"))
}

pub(super) fn configs(world: &World, query: &Query) -> Result<Reply, Reply> {
    let line = &world.config.line;
    let config = json!({
        "id": line.config_id,
        "name": line.name,
        "phone_number_id": line.phone_number_id,
        "display_phone_number": format!("+{}", line.number),
        "business_account_id": line.business_account_id,
    });
    page(vec![config], query)
}

/// `{data, meta}` of the page that the query asks for; 20 items a page unless it says otherwise.
pub(super) fn page(items: Vec<Value>, query: &Query) -> Result<Reply, Reply> {
    let page = number(query, "page", 1)?.max(1);
    let per_page = number(query, "per_page", 20)?.clamp(1, 100);
    let total = items.len();
    let data: Vec<Value> =
        items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let meta = json!({
        "page": page,
        "per_page": per_page,
        "total_pages": total.div_ceil(per_page),
        "total_count": total,
    });
    Ok(Reply::json(200, json!({ "data": data, "meta": meta })))
}

/// Messages of a number, by when Kapso wrote them down: `since` and `until` are of that.
pub(super) fn proxy_messages(world: &World, number: &str, query: &Query) -> Result<Reply, Reply> {
    proxy::known_number(world, number)?;
    let of_kapso = fields(query)?.unwrap_or(false);
    let since = moment(query, "since")?;
    let until = moment(query, "until")?;
    let store = world.store();
    let wanted = |(place, message): &(usize, &Message)| {
        let created = store.created_at(*place).unwrap_or(message.at);
        is_wanted(world, message, query)
            && since.is_none_or(|since| created >= since)
            && until.is_none_or(|until| created <= until)
    };
    let newest_first = store.messages().iter().enumerate().rev().filter(wanted);
    let query = shortened(world, query, "limit");
    cursors(newest_first, &query, |message| listed(world, message, PROXY, of_kapso))
}

/// One message; with what Kapso adds to it unless `fields` leaves that out.
pub(super) fn proxy_message(world: &World, number: &str, wamid: &str, query: &Query) -> Result<Reply, Reply> {
    proxy::known_number(world, number)?;
    let of_kapso = fields(query)?.unwrap_or(true);
    one(world, wamid, PROXY, of_kapso).map(|message| Reply::json(200, message))
}

/// Messages of all numbers. No filter is of a time; `phone_number` is any part of one, so that it proves nobody.
pub(super) fn platform_messages(world: &World, query: &Query) -> Result<Reply, Reply> {
    let line = &world.config.line;
    let asked = |name: &str, value: &str| query.get(name).is_none_or(|asked| asked == value);
    // What holds letters is no number, and no part of one.
    let part = query.get("phone_number").map(|given| match digits(given) {
        Some(digits) if !given.contains(char::is_alphabetic) => digits,
        _ => given.clone(),
    });
    let wanted = |(_, message): &(usize, &Message)| {
        let number = message.conversation.contact.number.as_ref();
        is_wanted(world, message, query)
            && asked("phone_number_id", &line.phone_number_id)
            && asked("message_type", &message.content.kind)
            && asked("has_media", if message.content.media.is_some() { "true" } else { "false" })
            && part.as_ref().is_none_or(|part| number.is_some_and(|number| number.contains(part.as_str())))
    };
    let store = world.store();
    let newest_first = store.messages().iter().enumerate().rev().filter(wanted);
    cursors(newest_first, query, |message| listed(world, message, PLATFORM, true))
}

/// One message, wrapped as the platform API wraps everything.
pub(super) fn platform_message(world: &World, wamid: &str) -> Result<Reply, Reply> {
    one(world, wamid, PLATFORM, true).map(|message| Reply::json(200, json!({ "data": message })))
}

/// The message of this wamid: Kapso's own id finds nothing here.
fn one(world: &World, wamid: &str, processed: &str, of_kapso: bool) -> Result<Value, Reply> {
    let store = world.store();
    let found = store.message(wamid).filter(|message| message.wamid == wamid);
    let found = found.ok_or_else(|| Reply::kapso(404, "Message not found"))?;
    Ok(listed(world, found, processed, of_kapso))
}

/// Whether `fields` asks for what Kapso adds to Meta's own; none: it says nothing.
fn fields(query: &Query) -> Result<Option<bool>, Reply> {
    match query.get("fields").map_or("", String::as_str) {
        "" => Ok(None),
        "kapso(default)" | "kapso(*)" | "kapso(all)" => Ok(Some(true)),
        "kapso()" => Ok(Some(false)),
        _ => Err(Reply::kapso(400, "fields other than kapso(default) are not known to this simulator")),
    }
}

/// The query with the length of a page that this simulator gives at the most.
fn shortened(world: &World, query: &Query, name: &str) -> Query {
    let mut query = query.clone();
    if let (Some(at_most), Ok(asked)) = (world.config.page_at_most, number(&query, name, 20)) {
        query.insert(name.to_owned(), asked.min(at_most).to_string());
    }
    query
}

/// Whether the filters that both listings have want this message.
fn is_wanted(world: &World, message: &Message, query: &Query) -> bool {
    let asked = |name: &str, value: &str| query.get(name).is_none_or(|asked| asked == value);
    is_listed(world, message)
        && asked("direction", message.direction.as_str())
        && asked("status", message.status())
        && asked("conversation_id", &message.conversation.id)
}

/// Whether listings show a message by now: one that was sent may come into them late.
fn is_listed(world: &World, message: &Message) -> bool {
    message.direction == Direction::Inbound || message.at + world.list_late() <= clock::now()
}

/// A message as a listing has it: what a webhook says beside it stands in its `kapso` object. Without that it says
/// neither which way it went nor what became of it. `processed` is the API's word for a message that Kapso is done with.
fn listed(world: &World, of: &Message, processed: &str, of_kapso: bool) -> Value {
    let mut message = dialect::v2_message(of, &of.statuses);
    let Some(kapso) = message.get_mut("kapso").and_then(Value::as_object_mut) else { return message };
    kapso.insert("processing_status".to_owned(), json!(processed));
    kapso.insert("phone_number".to_owned(), json!(of.conversation.contact.number));
    kapso.insert("phone_number_id".to_owned(), json!(world.config.line.phone_number_id));
    kapso.insert("whatsapp_conversation_id".to_owned(), json!(of.conversation.id));
    kapso.insert("contact_name".to_owned(), json!(of.conversation.contact.name));
    if let (false, Value::Object(message)) = (of_kapso, &mut message) {
        message.remove("kapso");
    }
    signed_anew(world, message)
}

/// The same item with other signatures on the addresses of its media.
fn signed_anew(world: &World, mut item: Value) -> Value {
    for place in ["/media_url", "/kapso/media_url", "/kapso/media_data/url"] {
        if let (true, Some(Value::String(url))) = (world.config.fresh_media_urls, item.pointer_mut(place)) {
            *url = format!("{url}?signature={}", ids::uuid());
        }
    }
    item
}

pub(super) fn proxy_conversations(world: &World, number: &str, query: &Query) -> Result<Reply, Reply> {
    proxy::known_number(world, number)?;
    let since = moment(query, "last_active_since")?;
    let until = moment(query, "last_active_until")?;
    let store = world.store();
    let newest_first = store.conversations().iter().enumerate().rev().filter(|(_, it)| {
        since.is_none_or(|since| it.last_active_at >= since)
            && until.is_none_or(|until| it.last_active_at <= until)
            && query.get("status").is_none_or(|status| status == it.status())
            && query.get("phone_number").is_none_or(|number| digits(number) == it.contact.number)
    });
    cursors(newest_first, query, |it| dialect::v2_conversation(&world.config.line, it))
}

/// `{data, paging}`: items newest first, each at a place that never changes, so that a cursor outlives new ones.
/// Only those of the page are put into words: a busy number has tens of thousands.
pub(super) fn cursors<T>(
    items: impl Iterator<Item = (usize, T)>,
    query: &Query,
    show: impl Fn(&T) -> Value,
) -> Result<Reply, Reply> {
    let limit = number(query, "limit", 20)?;
    if limit == 0 || limit > 100 {
        return Err(Reply::kapso(400, "limit must be between 1 and 100"));
    }
    let all: Vec<(usize, T)> = items.collect();
    let after = cursor(query, "after")?;
    let before = cursor(query, "before")?;
    let start = match (after, before) {
        (Some(after), _) => all.iter().position(|(at, _)| *at < after).unwrap_or(all.len()),
        (None, Some(before)) => all.iter().take_while(|(at, _)| *at > before).count().saturating_sub(limit),
        (None, None) => 0,
    };
    let end = before
        .filter(|_| after.is_none())
        .map_or(all.len(), |before| all.iter().take_while(|(at, _)| *at > before).count())
        .min(start + limit);
    let shown = all.get(start..end).unwrap_or_default();
    let first = shown.first().filter(|_| start > 0).map(|(at, _)| encode(*at));
    let last = shown.last().filter(|_| end < all.len()).map(|(at, _)| encode(*at));
    let data: Vec<Value> = shown.iter().map(|(_, item)| show(item)).collect();
    Ok(Reply::json(200, json!({ "data": data, "paging": { "cursors": { "before": first, "after": last } } })))
}

/// Opaque to callers: they are to hand it back, not to read it.
fn encode(place: usize) -> String {
    hex::encode(format!("at:{place}"))
}

fn cursor(query: &Query, name: &str) -> Result<Option<usize>, Reply> {
    let Some(given) = query.get(name).filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    let place = hex::decode(given)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("at:").and_then(|place| place.parse().ok()));
    place.map(Some).ok_or_else(|| Reply::kapso(400, &format!("Invalid {name} cursor")))
}

fn number(query: &Query, name: &str, otherwise: usize) -> Result<usize, Reply> {
    query.get(name).map_or(Ok(otherwise), |given| {
        given.parse().map_err(|_| Reply::kapso(400, &format!("{name} must be a number")))
    })
}

fn moment(query: &Query, name: &str) -> Result<Option<OffsetDateTime>, Reply> {
    query
        .get(name)
        .map(|given| {
            clock::parse_iso(given)
                .ok_or_else(|| Reply::kapso(400, &format!("{name} must be an ISO-8601 time")))
        })
        .transpose()
}
