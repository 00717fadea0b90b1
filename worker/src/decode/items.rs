//! Unwrapping a body to its items, and finding the dialect of each.
//!
//! A batch comes as `{type, batch, data: […]}`, as `{type, data}`, as `{event, data}` with one
//! item or a list of them, or as a list at the top. Source: Kapso's documentation,
//! "Webhooks: Buffering", and its older samples.

use contract::{envelope::Hints, kind::MAX_KIND_BYTES};
use serde_json::Value;

use super::backfill;
use crate::event::Dialect;

/// How deep wrappers are unwrapped: a list of wrappers of lists is the deepest ever seen.
const MAX_DEPTH: usize = 3;

/// One item of a webhook.
pub(super) struct Item<'a> {
    /// Where it is in the body; none for the body itself.
    pub(super) place: Option<String>,
    /// The kind of its event, where the body or its wrapper names it.
    pub(super) kind: Option<&'a str>,
    /// The item.
    pub(super) value: &'a Value,
}

impl Item<'_> {
    /// Its kind without the prefix that Kapso's second dialect gave the kinds of the first.
    pub(super) fn kind(&self) -> &str {
        let kind = self.kind.unwrap_or_default();
        kind.strip_prefix("whatsapp.").unwrap_or(kind)
    }
}

/// The items of a body.
pub(super) fn unwrap(body: &Value) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    collect(body, None, None, MAX_DEPTH, &mut items);
    items
}

fn collect<'a>(
    value: &'a Value,
    place: Option<String>,
    kind: Option<&'a str>,
    depth: usize,
    items: &mut Vec<Item<'a>>,
) {
    let kind = named_kind(value).or(kind);
    if depth > 0 {
        if let Value::Array(list) = value {
            for (index, value) in list.iter().enumerate() {
                let place = format!("{}[{index}]", place.as_deref().unwrap_or_default());
                collect(value, Some(place), kind, depth - 1, items);
            }
            return;
        }
        if let Some(data) = wrapped(value) {
            let place = place.map_or_else(|| "data".to_owned(), |place| format!("{place}.data"));
            // A list right below does not cost depth: the wrapper is one thing with it.
            return collect(data, Some(place), kind, depth, items);
        }
    }
    items.push(Item { place, kind, value });
}

/// The kind that an object names. What is longer than a kind can be names none.
fn named_kind(value: &Value) -> Option<&str> {
    let text = |field| value.get(field)?.as_str().filter(|name| name.len() <= MAX_KIND_BYTES);
    let names_an_event = |name: &&str| name.contains(['.', '_']) && !name.contains(char::is_whitespace);
    text("event_type")
        .or_else(|| text("type").filter(names_an_event))
        .or_else(|| text("event").filter(names_an_event))
}

/// What a wrapper wraps: a list, or one item. An event with data of its own is no wrapper,
/// nor is an item with a field of that name.
fn wrapped(value: &Value) -> Option<&Value> {
    /// All that a wrapper says beside its data.
    const WRAPPER: [&str; 6] = ["type", "event", "batch", "batch_info", "data", "test"];
    let data = value.get("data")?;
    let says = |value: &Value, fields: &[&str]| fields.iter().any(|field| value.get(field).is_some());
    if says(value, &["message", "conversation", "contact", "entry", "payload", "whatsapp_config"]) {
        return None;
    }
    let item = says(data, &["message", "conversation", "contact", "entry", "event_type", "whatsapp_config"]);
    let kind = named_kind(value);
    let bare = value.as_object()?.keys().all(|field| WRAPPER.contains(&field.as_str()));
    let of_an_agent = kind.is_some_and(|kind| kind.starts_with("kapso_agent."));
    (data.is_array() || item || (kind.is_some() && bare && !of_an_agent)).then_some(data)
}

/// The dialect of an item: from the body first, from the headers second.
pub(super) fn dialect(item: &Value, hints: &Hints) -> Option<Dialect> {
    if let Some(listing) = backfill::listing(item) {
        return Some(Dialect::Backfill(listing));
    }
    let has = |field: &str| item.get(field).is_some_and(|value| !value.is_null());
    let message = item.get("message").filter(|message| message.is_object());
    if message.is_none() && item.get("event_type").is_some_and(Value::is_string) {
        return Some(Dialect::Guide);
    }
    if item.get("entry").is_some_and(Value::is_array) {
        return Some(Dialect::Meta);
    }
    if message.is_some_and(|message| message.get("kapso").is_some_and(Value::is_object)) {
        return Some(Dialect::KapsoV2);
    }
    // Early versions of the second dialect had Kapso's fields flat on Meta's message, and some of the first's beside it:
    // the message's own shape decides.
    let flat = |field: &str| message.is_some_and(|message| message.get(field).is_some());
    if flat("whatsapp_message_id") || flat("message_type") {
        return Some(Dialect::KapsoV1);
    }
    if message.is_some_and(has_metas_shape) {
        return Some(Dialect::KapsoV2);
    }
    if has("whatsapp_config")
        || (flat("whatsapp_conversation_id") && !flat("type"))
        || item.pointer("/conversation/whatsapp_config_id").is_some()
    {
        return Some(Dialect::KapsoV1);
    }
    let hinted = hints.get("x-webhook-payload-version");
    if ["message", "conversation", "contact", "phone_number_id", "event"].into_iter().any(has) {
        let version_1 = hinted == Some("v1") && !["phone_number_id", "event", "contact"].into_iter().any(has);
        return Some(if version_1 { Dialect::KapsoV1 } else { Dialect::KapsoV2 });
    }
    match hinted {
        Some("v1") => Some(Dialect::KapsoV1),
        Some("v2") => Some(Dialect::KapsoV2),
        _ => None,
    }
}

/// Whether a message is as Meta describes one: it has its type, and an object or a time under Meta's name.
fn has_metas_shape(message: &Value) -> bool {
    let kind = message.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| {
        message.get(kind).is_some_and(|object| object.is_object() || object.is_array())
            || message.get("timestamp").is_some()
    })
}
