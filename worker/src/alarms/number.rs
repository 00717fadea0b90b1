//! How our numbers are at Kapso and at Meta: what lets nothing in or nothing out is an alarm.

use std::collections::BTreeSet;

use super::Verdict;
use crate::{
    kapso::platform::{NumberHealth, PhoneNumber, Platform, PlatformError},
    numbers::{self, INBOUND_OFF, MESSAGING_BLOCKED},
};

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) blocked: Verdict,
    pub(super) inbound_off: Verdict,
}

/// Asks Kapso for our numbers, and for the health of each.
pub(super) async fn look(platform: &Platform, ours: &BTreeSet<String>) -> Result<Seen, PlatformError> {
    let mut seen = Vec::new();
    let listed = platform.phone_numbers().await?;
    for number in listed.into_iter().filter(|number| ours.contains(&number.phone_number_id)) {
        // Kapso asks Meta, which may not answer: what the listing says holds all the same.
        let health = platform.health(&number.phone_number_id).await;
        let health = health.inspect_err(|error| tracing::debug!(error = %error, "no health of a number"));
        seen.push((number, health.ok()));
    }
    Ok(judge(&seen))
}

fn judge(seen: &[(PhoneNumber, Option<NumberHealth>)]) -> Seen {
    let blocked = seen.iter().map(|(number, health)| numbers::is_blocked(number, health.as_ref()));
    let inbound = seen.iter().map(|(number, _)| number.inbound_processing_enabled.map(|enabled| !enabled));
    Seen { blocked: verdict(blocked, &MESSAGING_BLOCKED), inbound_off: verdict(inbound, &INBOUND_OFF) }
}

/// Raised if it is so of any number; fine if it is known of all that it is not.
fn verdict(is_so: impl Iterator<Item = Option<bool>>, trouble: &numbers::Trouble) -> Verdict {
    let known: Vec<_> = is_so.collect();
    if known.contains(&Some(true)) {
        Verdict::Raised(format!("{}: {}", trouble.what, trouble.remedy))
    } else if known.is_empty() || known.contains(&None) {
        Verdict::Unknown
    } else {
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(number: &Value, health: &Value) -> Seen {
        let number = PhoneNumber::read(number);
        judge(&number.map(|number| (number, NumberHealth::read(health))).into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_known_raises_and_resolves_nothing() {
        let (on, off) = (
            json!({ "id": "1", "inbound_processing_enabled": true }),
            json!({ "id": "1", "inbound_processing_enabled": false }),
        );
        let health = |passed: Value, overall: Value| json!({ "checks": { "messaging_health": { "passed": passed, "overall_status": overall } } });
        let (available, blocked) =
            (health(json!(true), json!("AVAILABLE")), health(json!(false), json!("BLOCKED")));
        assert_eq!(seen(&on, &available), Seen { blocked: Verdict::Fine, inbound_off: Verdict::Fine });
        let unknown = health(json!(null), json!(null));
        for (number, health) in [(json!({ "id": "1" }), &unknown), (json!({}), &available)] {
            let nothing = Seen { blocked: Verdict::Unknown, inbound_off: Verdict::Unknown };
            assert_eq!(seen(&number, health), nothing, "{number} {health}");
        }
        let told = seen(&off, &blocked);
        assert!(matches!((&told.blocked, &told.inbound_off), (Verdict::Raised(_), Verdict::Raised(_))));
        // Meta limits how much is sent: nobody has to be woken.
        assert_eq!(seen(&on, &health(json!(false), json!("LIMITED"))).blocked, Verdict::Fine);
        assert!(matches!(
            seen(&json!({ "id": "1", "status": "BANNED" }), &unknown).blocked,
            Verdict::Raised(_)
        ));
    }
}
