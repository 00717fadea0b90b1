//! Meta's status objects, which Kapso's second dialect passes on.
//! Source: Meta, "Webhooks: message status".

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    instant::instant,
    json::{filled, text},
};
use crate::event::{Moment, Progress, Status};

/// The longest `biz_opaque_callback_data` that Meta takes has 512 characters, of 4 bytes at the most. Ours is
/// much shorter. Source: Meta, "Cloud API: Messages".
const LONGEST_CALLBACK: usize = 2048;

/// One status object, with the names of its message unless it has one of its own.
/// None: it is of a kind that we do not know, or speaks of something else than the message.
pub(super) fn read(value: &Value, names: &[String], received_at: OffsetDateTime) -> Option<(Moment, Status)> {
    if is_of_payment(value) {
        return None;
    }
    let progress = Progress::named(&text(value, "status")?)?;
    let names = text(value, "id").map_or_else(|| names.to_vec(), |id| vec![id]);
    let at = Moment::new(instant(value, "timestamp"), received_at);
    let error = (progress == Progress::Failed).then(|| first_error(value)).flatten();
    let callback_data = text(value, "biz_opaque_callback_data").filter(|data| data.len() <= LONGEST_CALLBACK);
    Some((at, Status { names, progress, details: details(value), error, callback_data }))
}

/// Whether a status speaks of a payment: that it failed says nothing of the message that asked for it.
/// Source: Meta, "Payments API: webhooks".
pub(super) fn is_of_payment(value: &Value) -> bool {
    text(value, "type").as_deref() == Some("payment") || value.get("payment").is_some_and(Value::is_object)
}

/// The first error of a list, or the only one, which may be a mere text.
pub(super) fn first_error(value: &Value) -> Option<String> {
    if let Some(errors) = filled(value, "errors").or_else(|| filled(value, "error")) {
        return Some(errors.get(0).unwrap_or(errors).to_string());
    }
    text(value, "error").map(|error| Value::String(error).to_string())
}

/// What a status says beyond its message, its state and its time.
fn details(value: &Value) -> Option<String> {
    let fields = value.as_object()?.iter();
    let more = fields.filter(|(name, value)| {
        !value.is_null() && !matches!(name.as_str(), "id" | "status" | "timestamp" | "recipient_id")
    });
    let more: Map<String, Value> = more.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!more.is_empty()).then(|| Value::Object(more).to_string())
}
