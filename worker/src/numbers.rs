//! What is wrong with one of our numbers, in plain words. Pure. Asked for by `worker doctor` and by
//! the alarms. The texts name no number.

use crate::kapso::platform::{Check, Messaging, NumberHealth, PhoneNumber};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It works, and is worth a look.
    Remark,
    /// Messages do not come, or do not go.
    Broken,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) severity: Severity,
    pub(crate) what: &'static str,
    pub(crate) remedy: &'static str,
}

const fn broken(what: &'static str, remedy: &'static str) -> Trouble {
    Trouble { severity: Severity::Broken, what, remedy }
}

const fn remark(what: &'static str, remedy: &'static str) -> Trouble {
    Trouble { severity: Severity::Remark, what, remedy }
}

/// Explains why no webhook comes although each is registered as it should be.
pub(crate) const INBOUND_OFF: Trouble = broken(
    "Kapso does not process what people write to the number (inbound_processing_enabled is false): no webhook of it comes",
    "switch inbound processing on in Kapso, at the number; then ask for what did not come: worker backfill --since 24h",
);

/// Nothing goes out.
pub(crate) const MESSAGING_BLOCKED: Trouble = broken(
    "Meta blocks the number (messaging_health is BLOCKED, or its status BANNED): nothing can be sent",
    "see why in Kapso, at the number's health, and in Meta's WhatsApp Manager; an appeal is made there",
);

const MESSAGING_LIMITED: Trouble = remark(
    "Meta limits what the number may send (messaging_health is LIMITED)",
    "see why in Kapso, at the number's health: often the account is not verified, or the quality is low",
);

const MESSAGING_FAILED: Trouble =
    broken("Kapso's check of messaging_health failed", "see why in Kapso, at the number's health");

const DISCONNECTED: Trouble =
    broken("the number is not connected: nothing comes and nothing goes", "connect it again in Kapso");

const NOT_CONNECTED: Trouble =
    remark("its status is not CONNECTED", "see why in Kapso, and in Meta's WhatsApp Manager");

const QUALITY_RED: Trouble = remark(
    "people block or report the number often: if that goes on, Meta lets it send less, or blocks it",
    "send less that nobody asked for; WhatsApp Manager shows the reasons",
);

const QUALITY_YELLOW: Trouble =
    remark("some people block or report the number", "send less that nobody asked for");

/// Whether nothing can be sent by a number; none: nobody knows.
pub(crate) fn is_blocked(number: &PhoneNumber, health: Option<&NumberHealth>) -> Option<bool> {
    if number.status.as_deref() == Some("BANNED") {
        return Some(true);
    }
    let messaging = health?.messaging()?;
    Some(messaging == Messaging::Blocked)
}

/// What is wrong with receiving.
pub(crate) fn of_inbound(number: &PhoneNumber) -> Option<&'static Trouble> {
    (number.inbound_processing_enabled == Some(false)).then_some(&INBOUND_OFF)
}

/// What is wrong with sending.
pub(crate) fn of_messaging(number: &PhoneNumber, health: Option<&NumberHealth>) -> Option<&'static Trouble> {
    if is_blocked(number, health) == Some(true) {
        return Some(&MESSAGING_BLOCKED);
    }
    match health?.messaging()? {
        Messaging::Limited => Some(&MESSAGING_LIMITED),
        Messaging::Failed => Some(&MESSAGING_FAILED),
        Messaging::Available | Messaging::Blocked => None,
    }
}

/// What is wrong with its connection. Its being banned is told as what it comes to.
pub(crate) fn of_status(number: &PhoneNumber) -> Option<&'static Trouble> {
    match number.status.as_deref()? {
        "CONNECTED" | "BANNED" => None,
        "DISCONNECTED" => Some(&DISCONNECTED),
        _ => Some(&NOT_CONNECTED),
    }
}

/// What people think of what it sends.
pub(crate) fn of_quality(number: &PhoneNumber) -> Option<&'static Trouble> {
    match number.quality_rating.as_deref()? {
        "RED" => Some(&QUALITY_RED),
        "YELLOW" => Some(&QUALITY_YELLOW),
        _ => None,
    }
}

/// Kapso's other checks, those that failed and those of which it does not say how they went.
pub(crate) fn of_checks(health: &NumberHealth) -> (Vec<&Check>, Vec<&Check>) {
    let others = || health.checks.iter().filter(|check| !check.is_of_messaging());
    let failed = others().filter(|check| check.passed == Some(false)).collect();
    (failed, others().filter(|check| check.passed.is_none()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn number(item: &Value) -> PhoneNumber {
        PhoneNumber { phone_number_id: "1".to_owned(), ..PhoneNumber::read(item).unwrap_or_default() }
    }

    #[test]
    fn each_state_is_told_apart() {
        let severity = |trouble: Option<&Trouble>| trouble.map(|trouble| trouble.severity);
        let messaging = |passed: Value, overall: &str| {
            let check = json!({ "passed": passed, "overall_status": overall });
            let health = NumberHealth::read(&json!({ "checks": { "messaging_health": check } }));
            severity(of_messaging(&number(&json!({ "id": 1 })), health.as_ref()))
        };
        assert_eq!(messaging(json!(true), "AVAILABLE"), None);
        assert_eq!(messaging(json!(false), "LIMITED"), Some(Severity::Remark));
        assert_eq!(messaging(json!(false), "BLOCKED"), Some(Severity::Broken));
        assert_eq!(messaging(json!(null), ""), None);
        assert_eq!(messaging(json!(false), ""), Some(Severity::Broken));
        for (item, inbound, status, quality) in [
            (json!({ "id": 1 }), None, None, None),
            (json!({ "id": 1, "inbound_processing_enabled": true, "status": "CONNECTED" }), None, None, None),
            (json!({ "id": 1, "inbound_processing_enabled": false }), Some(Severity::Broken), None, None),
            (json!({ "id": 1, "status": "DISCONNECTED" }), None, Some(Severity::Broken), None),
            (json!({ "id": 1, "status": "FLAGGED" }), None, Some(Severity::Remark), None),
            (json!({ "id": 1, "quality_rating": "RED" }), None, None, Some(Severity::Remark)),
            (json!({ "id": 1, "quality_rating": "UNKNOWN" }), None, None, None),
        ] {
            let it = number(&item);
            let told = (of_inbound(&it), of_status(&it), of_quality(&it));
            let found = (severity(told.0), severity(told.1), severity(told.2));
            assert_eq!(found, (inbound, status, quality), "{item}");
        }
    }

    #[test]
    fn what_was_not_looked_at_has_neither_passed_nor_failed() {
        let checks =
            json!({ "a": { "passed": true }, "b": { "passed": false }, "c": { "passed": null }, "d": {} });
        let health = NumberHealth::read(&json!({ "checks": checks }));
        let names = |checks: Vec<&Check>| checks.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        let told = health.as_ref().map(of_checks).map(|(failed, unknown)| (names(failed), names(unknown)));
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(told, Some((list(&["b"]), list(&["c", "d"]))));
    }
}
