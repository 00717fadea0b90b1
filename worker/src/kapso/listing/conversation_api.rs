//! The listings of the conversation API (`…/api/v1`): pages by number.
//! Source: Kapso's API reference, "WhatsApp conversations" and "WhatsApp messages".

use reqwest::RequestBuilder;
use serde_json::Value;

use super::{Client, Next, PAGE};

/// Our numbers.
pub(super) fn configs(client: &Client, page: u32) -> RequestBuilder {
    client.question(&["whatsapp_configs"], &numbered(page))
}

/// All conversations. No order is documented, so nothing is concluded from one.
pub(super) fn conversations(client: &Client, page: u32) -> RequestBuilder {
    client.question(&["whatsapp_conversations"], &numbered(page))
}

/// The messages of a conversation.
pub(super) fn messages(client: &Client, conversation: &str, page: u32) -> RequestBuilder {
    client.question(&["whatsapp_conversations", conversation, "whatsapp_messages"], &numbered(page))
}

fn numbered(page: u32) -> [(&'static str, String); 2] {
    [("page", page.to_string()), ("per_page", PAGE.to_string())]
}

/// What comes after this page: by Kapso's count, else as long as pages are full.
pub(super) fn next(body: &Value, page: u32, items: usize) -> Next {
    let pages = body.pointer("/meta/total_pages").and_then(Value::as_u64);
    let more = pages.map_or(items >= PAGE, |pages| u64::from(page) < pages);
    if more { Next::Page } else { Next::End }
}
