//! What a message holds, by its type: Meta's body, which Kapso's second dialect and Meta's
//! own share. Source: Meta, "Webhooks: messages".

use serde_json::{Map, Value, json};

use super::json::{filled, text};
use crate::event::{Change, ContactNames, Direction, Media, Message, Reaction, Revision};

/// The types whose body is a file.
const MEDIA: [&str; 5] = ["image", "video", "audio", "document", "sticker"];

/// The types that we know beside these. Source: Meta, "Webhooks: messages", and Kapso's
/// "Message events".
const OTHERS: [&str; 13] = [
    "text",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "template",
    "order",
    "system",
    "unsupported",
    "edit",
    "revoke",
    // How Meta imports a file that it has not copied yet.
    "media_placeholder",
];

/// Whether we know what a message of this type holds.
pub(super) fn is_known(kind: &str) -> bool {
    MEDIA.contains(&kind) || OTHERS.contains(&kind)
}

/// Reads a message's type, text, media, context and the rest into `message`: from Meta's object for the type wherever it
/// stands, else from Kapso's of its first dialect.
/// `kept` is what Kapso says about its own copy of the media.
pub(super) fn read(value: &Value, kept: Option<&Value>, message: &mut Message) {
    message.kind = kind(value);
    let kind = message.kind.as_deref().unwrap_or_default();
    let body = object(value, kind);
    message.body = written(kind, body);
    message.media = media(MEDIA.contains(&kind).then_some(body), kept);
    message.context = context(value);
    message.content = content(value, kind, body);
    message.group = text(value, "group_id");
}

/// A message's type.
pub(super) fn kind(value: &Value) -> Option<String> {
    text(value, "type").or_else(|| text(value, "message_type"))
}

/// What a message holds by its type: Meta's object, under the type's name, else what Kapso's first dialect has, there or
/// under the type's name.
pub(super) fn object<'a>(value: &'a Value, kind: &str) -> &'a Value {
    let metas = value.get(kind).filter(|object| object.is_object() || object.is_array());
    let kapsos = || {
        let data = filled(value, "message_type_data")?;
        Some(filled(data, kind).unwrap_or(data))
    };
    metas.or_else(kapsos).unwrap_or(&Value::Null)
}

/// The words that the person wrote or chose. Never the provider's summary of them.
fn written(kind: &str, body: &Value) -> Option<String> {
    let of = |field| text(body, field);
    match kind {
        "text" | "system" => of("body"),
        "button" | "order" => of("text"),
        "interactive" => ["button_reply", "list_reply"]
            .into_iter()
            .find_map(|reply| text(body.get(reply)?, "title"))
            .or_else(|| text(body.get("nfm_reply")?, "body"))
            // What we asked with buttons or a list.
            .or_else(|| text(body.get("body")?, "text")),
        "image" | "video" | "audio" | "document" | "sticker" => of("caption"),
        _ => None,
    }
}

/// Meta's description of a file, and over it where Kapso keeps it.
pub(super) fn media(described: Option<&Value>, kept: Option<&Value>) -> Option<Media> {
    let mut media = match described {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    };
    media.remove("caption");
    let kept = kept.and_then(Value::as_object).filter(|kept| !kept.is_empty());
    for (name, value) in kept.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        // The person's own name for the file is better than that of the copy.
        if name != "filename" || !media.contains_key(name) {
            media.insert(name.clone(), value.clone());
        }
    }
    let kept = kept.is_some_and(|kept| kept.get("url").is_some_and(Value::is_string));
    (!media.is_empty()).then(|| Media { json: Value::Object(media).to_string(), kept })
}

/// A message's context, if it says anything: Kapso sends nulls and `false` too.
pub(super) fn context(value: &Value) -> Option<String> {
    let context = filled(value, "context")?.as_object()?;
    let fields = context.iter().filter(|(_, value)| !value.is_null() && **value != Value::Bool(false));
    let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!fields.is_empty()).then(|| Value::Object(fields).to_string())
}

/// The type's own body where it is more than a text or a file, what led to the message, and
/// why a message could not be shown.
fn content(value: &Value, kind: &str, body: &Value) -> Option<String> {
    let mut content = Map::new();
    let plain = kind == "text" || MEDIA.contains(&kind) || kind.is_empty();
    if !plain && (body.is_object() || body.is_array()) {
        content.insert(kind.to_owned(), body.clone());
    }
    for field in ["referral", "errors"] {
        if let Some(value) = filled(value, field) {
            content.insert(field.to_owned(), value.clone());
        }
    }
    (!content.is_empty()).then(|| Value::Object(content).to_string())
}

/// The reaction that a message is, if it is one. A missing emoji takes the reaction back.
pub(super) fn reaction(message: &Message, body: &Value) -> Option<Reaction> {
    if message.kind.as_deref() != Some("reaction") {
        return None;
    }
    let contact = match message.direction {
        Some(Direction::Outbound) => ContactNames::default(),
        // Somebody's who has no name is not the business's.
        _ if message.contact.ids().is_empty() => return None,
        _ => message.contact.clone(),
    };
    Some(Reaction { to: vec![text(body, "message_id")?], contact, emoji: text(body, "emoji") })
}

/// The change of another message that this one is, if it is one. Source: Meta, "Webhooks: messages", `edit` and `revoke`.
pub(super) fn revision(value: &Value) -> Option<Revision> {
    let kind = kind(value)?;
    let body = object(value, &kind);
    let change = match kind.as_str() {
        "edit" => Change::Edited(edited(value, body)),
        "revoke" => Change::Deleted,
        _ => return None,
    };
    Some(Revision { of: vec![text(body, "original_message_id")?], change })
}

/// The new text of an edited message: in the message within the edit, else in the edit, else beside it.
fn edited(value: &Value, edit: &Value) -> Option<String> {
    let holders = [edit.get("message").unwrap_or(&Value::Null), edit, value];
    holders.into_iter().find_map(|holder| {
        let own = kind(holder);
        let kinds = own.as_deref().into_iter().chain(["text"]).chain(MEDIA);
        kinds.filter(|kind| *kind != "edit").find_map(|kind| written(kind, holder.get(kind)?))
    })
}

/// What Kapso says about its copy of a message's media.
pub(super) fn kept_by_kapso(kapso: &Value) -> Option<Value> {
    let mut kept = filled(kapso, "media_data").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(url) = text(kapso, "media_url") {
        kept.entry("url").or_insert_with(|| Value::String(url));
    }
    let transcript = kapso.get("transcript");
    let transcript =
        transcript.and_then(|said| said.as_str().map(str::to_owned).or_else(|| text(said, "text")));
    if let Some(transcript) = transcript {
        kept.insert("transcript".to_owned(), json!(transcript));
    }
    kept.retain(|_, value| !value.is_null());
    (!kept.is_empty()).then_some(Value::Object(kept))
}
