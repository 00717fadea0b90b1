//! Our numbers, and how well they are.

use serde_json::Value;

use super::webhook::text;

/// One of our numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneNumber {
    /// As Meta names it: what `KAPSO_PHONE_NUMBER_ID` holds.
    pub phone_number_id: String,
    /// How it is called.
    pub name: Option<String>,
    /// As people dial it.
    pub display_phone_number: Option<String>,
}

impl PhoneNumber {
    /// Reads one; none without an id.
    pub(super) fn read(item: &Value) -> Option<Self> {
        Some(Self {
            phone_number_id: text(item, "phone_number_id").or_else(|| text(item, "id"))?,
            name: text(item, "name"),
            display_phone_number: text(item, "display_phone_number"),
        })
    }
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
}

impl NumberHealth {
    /// Reads it; none where it says nothing at all.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let status = text(body, "status");
        let checks = body.get("checks").and_then(Value::as_object);
        if status.is_none() && checks.is_none() {
            return None;
        }
        let checks = checks.into_iter().flatten().map(|(name, check)| Check {
            name: name.clone(),
            passed: check.get("passed").and_then(Value::as_bool),
            why: ["error", "message"].into_iter().find_map(|name| text(check, name)),
        });
        Some(Self { status, checks: checks.collect() })
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.passed == Some(false))
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
        let failed: Vec<_> = health.iter().flat_map(NumberHealth::failed).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(
            failed.first().map(|it| (&*it.name, it.why.as_deref())),
            Some(("webhook_verified", Some("never")))
        );
        assert_eq!(NumberHealth::read(&json!({ "x": 1 })), None);
    }

    #[test]
    fn a_number_is_named_as_meta_names_it() {
        let read = |item| PhoneNumber::read(&item).map(|it| it.phone_number_id);
        assert_eq!(read(json!({ "id": "uuid", "phone_number_id": "2077" })).as_deref(), Some("2077"));
        assert_eq!(read(json!({ "id": 2077 })).as_deref(), Some("2077"));
        assert_eq!(read(json!({ "name": "x" })), None);
    }
}
