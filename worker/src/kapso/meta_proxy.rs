//! The proxy for Meta's own API (`…/meta/whatsapp/v24.0`).
//! Source: Kapso's API reference, "Meta proxy"; Meta, "Cloud API: Messages".

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::{Client, Target};

/// Sends a text to a number, or to a BSUID.
pub(super) fn send_text(
    client: &Client,
    effect_id: i64,
    target: Target<'_>,
    text: &str,
) -> Option<RequestBuilder> {
    let recipient = target.recipient?;
    let is_number = recipient.bytes().all(|byte| byte.is_ascii_digit());
    let mut body = Map::new();
    body.insert("messaging_product".to_owned(), json!("whatsapp"));
    body.insert("recipient_type".to_owned(), json!("individual"));
    body.insert(if is_number { "to" } else { "recipient" }.to_owned(), json!(recipient));
    body.insert("type".to_owned(), json!("text"));
    body.insert("text".to_owned(), json!({"body": text, "preview_url": false}));
    // Comes back in the statuses of what this becomes: evidence that it went through.
    body.insert("biz_opaque_callback_data".to_owned(), json!(callback_data(effect_id)));
    Some(client.request(Method::POST, &[target.phone_number_id?, "messages"], Some(&Value::Object(body))))
}

/// Marks a message as read, and those before it.
pub(super) fn mark_read(client: &Client, target: Target<'_>) -> Option<RequestBuilder> {
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": target.message_id});
    Some(client.request(Method::POST, &[target.phone_number_id?, "messages"], Some(&body)))
}

/// What our names for effects begin with.
const EFFECT: &str = "buzon:effect:";

/// Our name for an effect, as Meta's API carries it.
fn callback_data(effect_id: i64) -> String {
    format!("{EFFECT}{effect_id}")
}

/// The effect that is meant by what came back; none where it is no name of ours.
pub(crate) fn effect_of_callback(data: &str) -> Option<i64> {
    let id = data.strip_prefix(EFFECT)?.parse().ok()?;
    (callback_data(id) == data).then_some(id)
}
