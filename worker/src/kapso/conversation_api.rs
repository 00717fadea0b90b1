//! The conversation API of the guide (`…/api/v1`).
//! Source: Kapso's API reference, "WhatsApp messages".

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Client, Target};

/// Sends a text in a conversation.
pub(super) fn send_text(client: &Client, target: Target<'_>, text: &str) -> Option<RequestBuilder> {
    let path = ["whatsapp_conversations", target.conversation_id?, "whatsapp_messages"];
    let body = json!({"message": {"content": text, "message_type": "text"}});
    Some(client.request(Method::POST, &path, Some(&body)))
}

/// Marks a message as read.
pub(super) fn mark_read(client: &Client, target: Target<'_>) -> Option<RequestBuilder> {
    let path = ["whatsapp_messages", target.kapso_message_id?, "mark_as_read"];
    Some(client.request(Method::PATCH, &path, None))
}
