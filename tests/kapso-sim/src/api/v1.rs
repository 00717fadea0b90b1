//! The conversation API (Kapso's documentation calls it legacy): `…/api/v1`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    intent::{Intent, Recipient, Style},
    shape,
};
use crate::{
    reply::Reply,
    store::Outbound,
    story::{Contact, Content, origin},
    world::World,
};

pub(super) fn send(world: &World, conversation: &str, body: &Value) -> Result<Intent, Reply> {
    let outbound = outbound(body)?;
    if !world.config.lenient && world.store().conversation(conversation).is_none() {
        return Err(Reply::kapso(404, "Conversation not found"));
    }
    Ok(Intent::Send {
        to: Recipient::Conversation(conversation.to_owned()),
        outbound,
        style: Style::Conversation,
    })
}

pub(super) fn send_to_number(body: &Value) -> Result<Intent, Reply> {
    let outbound = outbound(body)?;
    let number = body.pointer("/message/phone_number").and_then(Value::as_str).unwrap_or_default();
    let contact = contact(number)?;
    Ok(Intent::Send {
        to: Recipient::Contact(Box::new(contact), number.to_owned()),
        outbound,
        style: Style::Conversation,
    })
}

pub(super) fn mark(world: &World, message: &str, query: &HashMap<String, String>) -> Result<Intent, Reply> {
    if !world.config.lenient && world.store().message(message).is_none() {
        return Err(Reply::kapso(404, "Message not found"));
    }
    let typing = query.get("typing_indicator").is_some_and(|wanted| wanted == "true");
    Ok(Intent::Mark { message: message.to_owned(), typing, style: Style::Conversation })
}

pub(super) fn update(world: &World, conversation: &str, body: &Value) -> Result<Intent, Reply> {
    let ended = match body.pointer("/whatsapp_conversation/status").and_then(Value::as_str) {
        Some("active") => false,
        Some("ended") => true,
        _ => return Err(invalid("Status is not included in the list")),
    };
    if world.store().conversation(conversation).is_none() {
        return Err(Reply::kapso(404, "Conversation not found"));
    }
    Ok(Intent::SetEnded { conversation: conversation.to_owned(), ended })
}

pub(super) fn conversation(world: &World, id: &str) -> Result<Reply, Reply> {
    let store = world.store();
    let found = store.conversation(id).ok_or_else(|| Reply::kapso(404, "Conversation not found"))?;
    Ok(Reply::json(200, json!({ "data": shape::v1_conversation(&world.config.line, found) })))
}

/// A number that could be one: 7 to 15 digits, with a `+` and separators at most.
pub(super) fn contact(number: &str) -> Result<Contact, Reply> {
    let contact = Contact::with_number(number);
    let written_well = number.chars().all(|it| it.is_ascii_digit() || "+ -().".contains(it));
    let long_enough = contact.number.as_ref().is_some_and(|digits| (7..=15).contains(&digits.len()));
    if written_well && long_enough {
        Ok(contact)
    } else {
        Err(Reply::kapso(422, "Phone number is not a valid phone number"))
    }
}

fn outbound(body: &Value) -> Result<Box<Outbound>, Reply> {
    let message = body
        .get("message")
        .filter(|message| message.is_object())
        .ok_or_else(|| Reply::kapso(400, "param is missing or the value is empty: message"))?;
    let kind = message.get("message_type").and_then(Value::as_str).unwrap_or("text");
    if kind != "text" {
        return Err(invalid("Message type is not supported by this simulator"));
    }
    let text = message.get("content").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| invalid("Content can't be blank"))?;
    if text.chars().count() > super::proxy::LONGEST_TEXT {
        return Err(invalid("Content is too long (maximum is 4096 characters)"));
    }
    let content = Content::text(text);
    Ok(Box::new(Outbound {
        content,
        context: None,
        callback_data: None,
        origin: origin::API,
        created_at: None,
    }))
}

fn invalid(message: &str) -> Reply {
    Reply::json(422, json!({ "error": "Validation failed", "message": message }))
}
