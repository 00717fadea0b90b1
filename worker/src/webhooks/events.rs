//! Which events our webhook is subscribed to.

/// Without these messages are lost, or how far ours got: the guide's events, by the names that
/// Kapso has for them today.
pub const REQUIRED: [&str; 5] = [
    "whatsapp.message.received",
    "whatsapp.message.sent",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
];

/// All that Kapso documents for a number, the required ones first. What we do not understand is
/// archived all the same.
/// Source: Kapso's documentation, "Event types" of webhooks.
pub const EVENTS: [&str; 11] = [
    REQUIRED[0],
    REQUIRED[1],
    REQUIRED[2],
    REQUIRED[3],
    REQUIRED[4],
    "whatsapp.conversation.created",
    "whatsapp.conversation.ended",
    "whatsapp.conversation.inactive",
    "whatsapp.contact.identity_changed",
    "whatsapp.contact.marketing_preference_changed",
    "whatsapp.meta_business_agent.handover",
];

/// The events of ours that a refusal names, such as `Events contains unsupported events: "a", "b"`.
#[must_use]
pub fn unsupported(refusal: &str) -> Vec<&'static str> {
    if !refusal.contains("unsupported events") {
        return Vec::new();
    }
    EVENTS.into_iter().filter(|event| refusal.contains(&format!("\"{event}\""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_events() {
        let refusal = "HTTP 422: Events contains unsupported events: \"whatsapp.conversation.ended\", \"x\"";
        assert_eq!(unsupported(refusal), ["whatsapp.conversation.ended"]);
        assert!(unsupported("HTTP 422: Url is invalid").is_empty());
    }
}
