//! A call on WhatsApp: only Meta's own body tells of it, under the field `calls`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Line;
use crate::{clock, ids};

/// What one webhook tells of a call.
#[derive(Clone, Debug)]
pub struct PhoneCall {
    /// Meta's id of the call. A status of the call has it as its `id`, where a message's status has the message's.
    pub id: String,
    /// The contact's number, in any format.
    pub number: String,
    /// What happened.
    pub progress: CallProgress,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallProgress {
    /// The contact calls: an item of `value.calls`.
    Connect,
    /// The contact's call has ended: an item of `value.calls`.
    Terminate,
    /// The contact's phone rings, called by us: an item of `value.statuses`.
    Ringing,
    /// The contact took our call: an item of `value.statuses`.
    Accepted,
    /// The contact refused our call: an item of `value.statuses`.
    Rejected,
}

impl PhoneCall {
    /// A call with the contact of this number, under a new id.
    #[must_use]
    pub fn new(number: impl Into<String>, progress: CallProgress) -> Self {
        Self { id: format!("wacid.{}", ids::uuid()), number: number.into(), progress }
    }

    /// Meta's body.
    pub(crate) fn body(&self, line: &Line) -> Value {
        let mut value = json!({
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": line.number, "phone_number_id": line.phone_number_id },
        });
        let number = super::digits(&self.number);
        let timestamp = clock::unix(clock::now());
        let status = |status: &str| json!([{ "id": self.id, "type": "call", "status": status, "timestamp": timestamp, "recipient_id": number }]);
        let call = |event: &str, more: Value| {
            let mut call = json!({
                "id": self.id, "from": number, "to": line.number, "event": event,
                "timestamp": timestamp, "direction": "USER_INITIATED",
            });
            if let (Value::Object(call), Value::Object(more)) = (&mut call, more) {
                call.extend(more);
            }
            json!([call])
        };
        let (field, items) = match self.progress {
            CallProgress::Connect => {
                ("calls", call("connect", json!({ "session": { "sdp_type": "offer", "sdp": "v=0" } })))
            }
            CallProgress::Terminate => {
                let times = json!({ "status": "COMPLETED", "start_time": timestamp, "end_time": timestamp, "duration": 0 });
                ("calls", call("terminate", times))
            }
            CallProgress::Ringing => ("statuses", status("RINGING")),
            CallProgress::Accepted => ("statuses", status("ACCEPTED")),
            CallProgress::Rejected => ("statuses", status("REJECTED")),
        };
        value[field] = items;
        json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": line.business_account_id, "changes": [{ "field": "calls", "value": value }] }],
        })
    }
}
