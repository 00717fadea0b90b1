//! Which examples the traffic of a dialect is made of, and where they say what differs.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::template::Hole;

/// The shape of the webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// The customer's guide.
    Guide,
    /// Kapso today.
    #[default]
    V2,
    /// Meta's own, passed on.
    Meta,
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "guide" => Ok(Self::Guide),
            "v2" => Ok(Self::V2),
            "meta" => Ok(Self::Meta),
            _ => Err("guide, v2 or meta".to_owned()),
        }
    }
}

/// What a dialect's traffic is cut from.
pub(super) struct Examples {
    /// Messages of contacts, most of them texts, as they are.
    pub(super) inbound: &'static [&'static str],
    /// What becomes of a message of ours, in order.
    pub(super) statuses: [&'static str; 3],
    /// Where they say what differs.
    pub(super) places: &'static [(&'static str, Hole)],
    /// The header that carries the signature, and what stands before its digits.
    pub(super) signature: (&'static str, &'static str),
}

impl Dialect {
    pub(super) const fn examples(self) -> Examples {
        match self {
            Self::Guide => Examples {
                inbound: &[
                    "guide/message.received.text",
                    "guide/message.received.ayuda",
                    "guide/message.received.text",
                    "guide/message.received.image",
                ],
                statuses: ["guide/message.sent", "guide/message.delivered", "guide/message.read"],
                places: &[
                    ("/message_id", Hole::Message),
                    ("/conversation_id", Hole::Conversation),
                    ("/payload/contact/id", Hole::Contact),
                    ("/payload/from", Hole::PlusPhone),
                    ("/timestamp", Hole::Instant),
                    ("/payload/timestamp", Hole::Instant),
                    ("/payload/content", Hole::Text),
                ],
                signature: ("X-Kapso-Signature", ""),
            },
            Self::V2 => Examples {
                inbound: &[
                    "kapso-v2/whatsapp.message.received.text",
                    "kapso-v2/whatsapp.message.received.text-reply-context",
                    "kapso-v2/whatsapp.message.received.text",
                    "kapso-v2/whatsapp.message.received.image",
                    "kapso-v2/whatsapp.message.received.text",
                    "kapso-v2/whatsapp.message.received.interactive-button_reply",
                    "kapso-v2/whatsapp.message.received.text",
                    "kapso-v2/whatsapp.message.received.audio-voice",
                ],
                statuses: [
                    "kapso-v2/whatsapp.message.sent.text",
                    "kapso-v2/whatsapp.message.delivered",
                    "kapso-v2/whatsapp.message.read",
                ],
                places: &[
                    ("/message/id", Hole::Message),
                    ("/message/timestamp", Hole::Unix),
                    ("/message/kapso/statuses/0/timestamp", Hole::Unix),
                    ("/conversation/id", Hole::Conversation),
                    ("/conversation/phone_number", Hole::Phone),
                    ("/conversation/business_scoped_user_id", Hole::Scoped),
                    ("/conversation/updated_at", Hole::Instant),
                    ("/message/text/body", Hole::Text),
                ],
                signature: ("X-Webhook-Signature", ""),
            },
            Self::Meta => Examples {
                inbound: &[
                    "meta-forwarded/messages.text",
                    "meta-forwarded/messages.text",
                    "meta-forwarded/messages.image",
                    "meta-forwarded/messages.text",
                ],
                statuses: [
                    "meta-forwarded/statuses.sent",
                    "meta-forwarded/statuses.delivered-with-conversation",
                    "meta-forwarded/statuses.read",
                ],
                places: &[
                    ("/entry/0/changes/0/value/messages/0/id", Hole::Message),
                    ("/entry/0/changes/0/value/messages/0/timestamp", Hole::Unix),
                    ("/entry/0/changes/0/value/messages/0/from", Hole::Phone),
                    ("/entry/0/changes/0/value/messages/0/text/body", Hole::Text),
                    ("/entry/0/changes/0/value/contacts/0/user_id", Hole::Scoped),
                    ("/entry/0/changes/0/value/statuses/0/id", Hole::Message),
                    ("/entry/0/changes/0/value/statuses/0/timestamp", Hole::Unix),
                    ("/entry/0/changes/0/value/statuses/0/recipient_id", Hole::Phone),
                ],
                signature: ("X-Hub-Signature-256", "sha256="),
            },
        }
    }
}
