//! Our own dialect: one message of Kapso's listings, archived with what the item itself does
//! not say, so that the archive alone is enough to project it again.
//!
//! `{event: "message.listed", api, message, …}`. The message is as Kapso listed it. Beside it
//! stands what stands beside a message in the dialect in which that API describes one: the
//! conversation and its `whatsapp_config` (first dialect), or `phone_number_id` (second).

use serde_json::Value;
use time::OffsetDateTime;

use super::{Told, json::filled, kapso_v1, kapso_v2};
use crate::event::Listing;

/// The kind of the event. Kapso has none of this name, so that it says nothing about a
/// message's direction or its status: the item does.
pub(crate) const KIND: &str = "message.listed";

/// Which listing an item comes from, if it is one of ours.
pub(super) fn listing(item: &Value) -> Option<Listing> {
    let text = |field| item.get(field).and_then(Value::as_str);
    text("event").filter(|kind| *kind == KIND).and_then(|_| Listing::named(text("api")?))
}

/// Decodes an item.
pub(super) fn decode(listing: Listing, item: &Value, received_at: OffsetDateTime) -> Told {
    if filled(item, "message").is_none_or(|message| !message.is_object()) {
        return Told::Undecodable(format!("the event {KIND} carries no message"));
    }
    match listing {
        Listing::ConversationApi => kapso_v1::decode(item, KIND, received_at),
        Listing::MetaProxy => kapso_v2::decode(item, KIND, received_at),
    }
}
