//! The Meta proxy: Meta's own send API behind Kapso's key, with Meta's validation.

use serde_json::{Value, json};

use super::{
    intent::{Intent, Recipient, Style},
    v1,
};
use crate::{
    reply::Reply,
    store::Outbound,
    story::{Contact, Content, origin},
    world::World,
};

/// Meta's limit for a text.
pub(super) const LONGEST_TEXT: usize = 4096;
/// Meta's limit for what is echoed in statuses.
const LONGEST_CALLBACK: usize = 512;
/// What can be sent besides a text, each with an object of its own name.
const OBJECTS: [&str; 10] = [
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "reaction",
    "template",
];

/// Checks that a number is ours; a lenient simulator plays any.
pub(super) fn known_number(world: &World, number: &str) -> Result<(), Reply> {
    if world.config.lenient || world.config.line.phone_number_id == number {
        Ok(())
    } else {
        Err(Reply::kapso(404, "WhatsApp configuration not found"))
    }
}

/// Reads the one path that both sends and marks as read.
pub(super) fn message(world: &World, number: &str, body: &Value) -> Result<Intent, Reply> {
    known_number(world, number)?;
    if !body.is_object() {
        return Err(Reply::kapso(400, "Invalid JSON in request body"));
    }
    if body.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
        return Err(parameter(
            "The parameter messaging_product is required.",
            "messaging_product must be whatsapp",
        ));
    }
    if body.get("status").is_some() { mark(world, body) } else { send(body) }
}

fn mark(world: &World, body: &Value) -> Result<Intent, Reply> {
    if body.get("status").and_then(Value::as_str) != Some("read") {
        return Err(parameter("Invalid parameter", "status must be read"));
    }
    let message = body.get("message_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let message =
        message.ok_or_else(|| parameter("The parameter message_id is required.", "message_id is missing"))?;
    let typing = match body.get("typing_indicator") {
        None | Some(Value::Null) => false,
        Some(indicator) if indicator.get("type").and_then(Value::as_str) == Some("text") => true,
        Some(_) => return Err(parameter("Invalid parameter", "typing_indicator.type must be text")),
    };
    if !world.config.lenient && world.store().message(message).is_none() {
        return Err(Reply::meta(
            400,
            131_009,
            "Parameter value is not valid",
            "message_id is not one of this number",
        ));
    }
    Ok(Intent::Mark { message: message.to_owned(), typing, style: Style::Proxy })
}

fn send(body: &Value) -> Result<Intent, Reply> {
    let to = recipient(body)?;
    let content = content(body)?;
    let callback_data = body.get("biz_opaque_callback_data").and_then(Value::as_str);
    if callback_data.is_some_and(|data| data.chars().count() > LONGEST_CALLBACK) {
        return Err(parameter(
            "Invalid parameter",
            "biz_opaque_callback_data must be at most 512 characters long",
        ));
    }
    let context = body.pointer("/context/message_id").map(|id| json!({ "id": id }));
    let callback_data = callback_data.map(str::to_owned);
    let outbound =
        Box::new(Outbound { content, context, callback_data, origin: origin::API, created_at: None });
    Ok(Intent::Send { to, outbound, style: Style::Proxy })
}

/// A number (`to`), else a business-scoped user id (`recipient`).
fn recipient(body: &Value) -> Result<Recipient, Reply> {
    let text = |name| body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    match (text("to"), text("recipient")) {
        (Some(to), _) => Ok(Recipient::Contact(Box::new(v1::contact(to)?), to.to_owned())),
        (None, Some(bsuid)) => {
            let contact = Contact { number: None, bsuid: Some(bsuid.to_owned()), ..Contact::with_number("") };
            Ok(Recipient::Contact(Box::new(contact), bsuid.to_owned()))
        }
        (None, None) => Err(parameter("The parameter to is required.", "to is missing")),
    }
}

fn content(body: &Value) -> Result<Content, Reply> {
    let kind = body.get("type").and_then(Value::as_str).unwrap_or("text");
    if OBJECTS.contains(&kind) {
        let object = body.get(kind).filter(|object| object.is_object() || object.is_array());
        let object = object.ok_or_else(|| parameter("Invalid parameter", &format!("{kind} is missing")))?;
        return Ok(Content::raw(kind, object.clone()));
    }
    if kind != "text" {
        return Err(parameter("Invalid parameter", &format!("type {kind} is not one that can be sent")));
    }
    let text = body.pointer("/text/body").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| parameter("The parameter text['body'] is required.", "text.body is missing"))?;
    if text.chars().count() > LONGEST_TEXT {
        return Err(parameter(
            "Invalid parameter",
            "Param text['body'] must be at most 4096 characters long.",
        ));
    }
    Ok(Content::text(text))
}

/// Meta's code for a parameter that is missing or malformed.
fn parameter(message: &str, details: &str) -> Reply {
    Reply::meta(400, 100, message, details)
}
