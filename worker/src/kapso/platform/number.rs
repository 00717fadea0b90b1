//! Our numbers, and how well they are.

use serde_json::Value;

use super::webhook::text;

/// One of our numbers.
/// A field that the answer does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhoneNumber {
    /// As Meta names it: what `KAPSO_PHONE_NUMBER_ID` holds.
    pub phone_number_id: String,
    /// How it is called.
    pub name: Option<String>,
    /// As people dial it.
    pub display_phone_number: Option<String>,
    /// Whether Kapso processes what comes in: if not, no webhook tells of it.
    pub inbound_processing_enabled: Option<bool>,
    /// `CONNECTED`, or another word of Meta's in capitals.
    pub status: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality_rating: Option<String>,
    /// How many people it may begin a conversation with in a day, as Meta says it.
    pub messaging_limit: Option<String>,
    /// How much it may send at once, as Meta says it.
    pub throughput_tier: Option<String>,
}

impl PhoneNumber {
    /// Reads one; none without an id.
    pub(crate) fn read(item: &Value) -> Option<Self> {
        let capitals = |name| text(item, name).map(|word| word.to_ascii_uppercase());
        Some(Self {
            phone_number_id: text(item, "phone_number_id").or_else(|| text(item, "id"))?,
            name: text(item, "name"),
            display_phone_number: text(item, "display_phone_number"),
            inbound_processing_enabled: item.get("inbound_processing_enabled").and_then(Value::as_bool),
            status: capitals("status"),
            quality_rating: capitals("quality_rating"),
            messaging_limit: LIMITS.into_iter().find_map(|name| text(item, name)),
            throughput_tier: text(item, "throughput_tier"),
        })
    }
}

/// What the messaging limit is called: Kapso's name for it, and Meta's.
const LIMITS: [&str; 3] =
    ["whatsapp_business_manager_messaging_limit", "messaging_limit", "messaging_limit_tier"];

/// The check that says whether messages may go out.
const MESSAGING: &str = "messaging_health";

/// Whether messages may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messaging {
    /// They may.
    Available,
    /// Some may.
    Limited,
    /// None may.
    Blocked,
    /// The check failed, and does not say why.
    Failed,
}

/// How well a number is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberHealth {
    /// `healthy`, or another word.
    pub status: Option<String>,
    /// What was looked at, by name: `phone_number_access`, `messaging_health`,
    /// `webhook_subscription`, `webhook_verified`, …
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Whether it is well; none where that is not said.
    pub passed: Option<bool>,
    /// What is wrong, where Kapso says so.
    pub why: Option<String>,
    /// Meta's word for what was found, in capitals, such as `AVAILABLE`.
    pub overall_status: Option<String>,
}

impl Check {
    /// Whether it is the one that [`NumberHealth::messaging`] reads.
    #[must_use]
    pub fn is_of_messaging(&self) -> bool {
        self.name == MESSAGING
    }
}

impl NumberHealth {
    /// Reads it; none where it says nothing at all.
    pub(crate) fn read(body: &Value) -> Option<Self> {
        let status = text(body, "status");
        let checks = body.get("checks").and_then(Value::as_object);
        if status.is_none() && checks.is_none() {
            return None;
        }
        let checks = checks.into_iter().flatten().map(|(name, check)| Check {
            name: name.clone(),
            passed: check.get("passed").and_then(Value::as_bool),
            why: ["error", "message"].into_iter().find_map(|name| text(check, name)),
            overall_status: [Some(check), check.get("details")]
                .into_iter()
                .flatten()
                .find_map(|it| text(it, "overall_status").or_else(|| text(it, "can_send_message")))
                .map(|word| word.to_ascii_uppercase()),
        });
        Some(Self { status, checks: checks.collect() })
    }

    /// Whether messages may go out; none where Kapso does not know.
    #[must_use]
    pub fn messaging(&self) -> Option<Messaging> {
        let check = self.checks.iter().find(|check| check.is_of_messaging())?;
        match (check.overall_status.as_deref(), check.passed) {
            (Some("AVAILABLE"), _) => Some(Messaging::Available),
            (Some("LIMITED"), _) => Some(Messaging::Limited),
            (Some("BLOCKED"), _) => Some(Messaging::Blocked),
            (_, Some(true)) => Some(Messaging::Available),
            (_, Some(false)) => Some(Messaging::Failed),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn health_is_read_check_by_check() {
        let body = json!({ "status": "unhealthy", "checks": {
            "phone_number_access": { "passed": true, "details": { "quality_rating": "GREEN" } },
            "webhook_verified": { "passed": false, "error": "never" },
            "messaging_health": { "details": {} },
        }});
        let health = NumberHealth::read(&body);
        let failed = health.iter().flat_map(|it| &it.checks).filter(|it| it.passed == Some(false));
        let failed: Vec<_> = failed.map(|it| (&*it.name, it.why.as_deref())).collect();
        assert_eq!(failed, [("webhook_verified", Some("never"))]);
        assert_eq!(health.as_ref().and_then(NumberHealth::messaging), None);
        assert_eq!(NumberHealth::read(&json!({ "x": 1 })), None);
    }

    #[test]
    fn a_number_is_named_as_meta_names_it() {
        let read = |item| PhoneNumber::read(&item).map(|it| it.phone_number_id);
        assert_eq!(read(json!({ "id": "uuid", "phone_number_id": "2077" })).as_deref(), Some("2077"));
        assert_eq!(read(json!({ "id": 2077 })).as_deref(), Some("2077"));
        assert_eq!(read(json!({ "name": "x" })), None);
    }

    #[test]
    fn its_state_is_read_by_either_name() {
        let kapsos = PhoneNumber::read(&json!({
            "id": 1, "inbound_processing_enabled": false, "status": "connected", "quality_rating": "GREEN",
            "throughput_tier": "STANDARD", "whatsapp_business_manager_messaging_limit": "TIER_1K",
        }));
        let state = kapsos.map(|it| (it.inbound_processing_enabled, it.status, it.messaging_limit));
        assert_eq!(state, Some((Some(false), Some("CONNECTED".to_owned()), Some("TIER_1K".to_owned()))));
        let bare = PhoneNumber::read(
            &json!({ "id": 1, "inbound_processing_enabled": null, "messaging_limit": 250 }),
        );
        let state = bare.map(|it| (it.inbound_processing_enabled, it.status, it.messaging_limit));
        assert_eq!(state, Some((None, None, Some("250".to_owned()))));
    }

    #[test]
    fn messaging_is_read_where_kapso_says_it() {
        let messaging = |check: Value| {
            NumberHealth::read(&json!({ "checks": { "messaging_health": check } }))
                .and_then(|health| health.messaging())
        };
        for (check, expected) in [
            (json!({ "passed": true, "overall_status": "AVAILABLE" }), Some(Messaging::Available)),
            (json!({ "passed": null, "details": { "overall_status": "limited" } }), Some(Messaging::Limited)),
            (
                json!({ "passed": false, "details": { "can_send_message": "BLOCKED" } }),
                Some(Messaging::Blocked),
            ),
            (json!({ "passed": true }), Some(Messaging::Available)),
            (json!({ "passed": false }), Some(Messaging::Failed)),
            (json!({ "passed": null, "overall_status": null }), None),
        ] {
            assert_eq!(messaging(check.clone()), expected, "{check}");
        }
    }
}
