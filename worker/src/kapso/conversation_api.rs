//! The conversation API of the guide (`…/api/v1`).
//! Source: Kapso's API reference, "WhatsApp messages".

use reqwest::Method;
use serde_json::json;

use super::{Answer, Client};

impl Client {
    /// Sends a text in a conversation.
    pub async fn send_text(&self, conversation_id: &str, text: &str) -> Answer {
        let path = ["whatsapp_conversations", conversation_id, "whatsapp_messages"];
        let body = json!({"message": {"content": text, "message_type": "text"}});
        self.send(self.request(Method::POST, &path, Some(&body))).await
    }

    /// Marks a message as read.
    pub async fn mark_read(&self, message_id: &str) -> Answer {
        let path = ["whatsapp_messages", message_id, "mark_as_read"];
        self.send(self.request(Method::PATCH, &path, None)).await
    }
}
