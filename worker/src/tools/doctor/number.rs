//! Our number, as Kapso and Meta have it: whether what people write comes in, and whether what we
//! write may go out.

use contract::settings::Settings;

use super::{
    check::Scope,
    guide, kapso,
    report::{Finding, Mark},
};
use crate::{
    kapso::platform::{Check, NumberHealth, PhoneNumber, Platform, PlatformError},
    numbers::{self, Severity, Trouble},
    tools::screen,
};

const ABOUT: &str = "number";

/// Asks Kapso for it; nothing is changed there.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    match asked(&scope.settings).await {
        Ok(findings) => findings,
        Err(finding) => vec![*finding],
    }
}

async fn asked(settings: &Settings) -> Result<Vec<Finding>, Box<Finding>> {
    let platform = kapso::platform(settings, ABOUT)?;
    let listed = platform.phone_numbers().await.map_err(|error| kapso::unanswered(error, ABOUT))?;
    let wanted = settings.text("KAPSO_PHONE_NUMBER_ID");
    let ours = |number: &&PhoneNumber| wanted.as_ref().is_none_or(|wanted| *wanted == number.phone_number_id);
    let ours: Vec<&PhoneNumber> = listed.iter().filter(ours).collect();
    if ours.is_empty() {
        let remedy = "is KAPSO_PHONE_NUMBER_ID the number's id at Meta, and the token one of its project?";
        return Err(Box::new(Finding::wrong(ABOUT, "Kapso lists no such number", remedy)));
    }
    let mut findings = Vec::new();
    for number in ours {
        if listed.len() > 1 {
            let id = screen::plain(&number.phone_number_id);
            findings.push(Finding::fine(ABOUT, format!("of {id}:")));
        }
        findings.extend(of(&platform, number).await);
    }
    Ok(findings)
}

async fn of(platform: &Platform, number: &PhoneNumber) -> Vec<Finding> {
    let health = platform.health(&number.phone_number_id).await;
    judged(number, health.as_ref())
}

/// What is to be said of a number.
fn judged(number: &PhoneNumber, health: Result<&NumberHealth, &PlatformError>) -> Vec<Finding> {
    let mut findings = vec![inbound(number), status(number), messaging(number, health.ok()), quality(number)];
    match health {
        Ok(health) => findings.extend(checks(health)),
        Err(error) => {
            let says = format!("the number's health can't be read: {}", screen::plain(&error.to_string()));
            findings.push(Finding::remark("health", says, "look at it in Kapso, at the number"));
        }
    }
    findings
}

fn told(about: &'static str, trouble: &Trouble, also: &str) -> Finding {
    let says = format!("{}{also}", trouble.what);
    match trouble.severity {
        Severity::Remark => Finding::remark(about, says, trouble.remedy),
        Severity::Broken => Finding::wrong(about, says, trouble.remedy),
    }
}

fn inbound(number: &PhoneNumber) -> Finding {
    const ABOUT: &str = "inbound";
    match (numbers::of_inbound(number), number.inbound_processing_enabled) {
        (Some(trouble), _) => told(ABOUT, trouble, "").named(guide::NOTHING),
        (None, Some(_)) => Finding::fine(ABOUT, "Kapso processes what people write"),
        (None, None) => unknown(ABOUT, "Kapso does not say whether it processes what people write"),
    }
}

fn status(number: &PhoneNumber) -> Finding {
    const ABOUT: &str = "status";
    let Some(status) = number.status.as_deref().map(screen::plain) else {
        return unknown(ABOUT, "Kapso does not say whether the number is connected");
    };
    match numbers::of_status(number) {
        Some(trouble) => told(ABOUT, trouble, &format!(", but {status}")),
        None => Finding::fine(ABOUT, status),
    }
}

fn messaging(number: &PhoneNumber, health: Option<&NumberHealth>) -> Finding {
    const ABOUT: &str = "messaging";
    let why = health.and_then(|health| health.checks.iter().find(|check| check.is_of_messaging()));
    let why = why.and_then(|check| check.why.as_deref());
    let why = why.map(|why| format!(": {}", screen::plain(why))).unwrap_or_default();
    if let Some(trouble) = numbers::of_messaging(number, health) {
        return told(ABOUT, trouble, &why);
    }
    match health.and_then(NumberHealth::messaging) {
        Some(_) => Finding::fine(ABOUT, "Meta lets it send (AVAILABLE)"),
        None => unknown(ABOUT, "whether Meta lets it send is not known"),
    }
}

/// Its quality, and how much it may send: the one follows from the other.
fn quality(number: &PhoneNumber) -> Finding {
    const ABOUT: &str = "quality";
    let word = |text: &Option<String>| text.as_deref().map_or_else(|| "not known".to_owned(), screen::plain);
    let (quality, limit) = (word(&number.quality_rating), word(&number.messaging_limit));
    let mut says = format!("quality {quality}, messaging limit {limit}");
    if let Some(tier) = &number.throughput_tier {
        says = format!("{says}, throughput {}", screen::plain(tier));
    }
    match numbers::of_quality(number) {
        Some(trouble) => told(ABOUT, &Trouble { ..trouble.clone() }, &format!(" ({says})")),
        None => Finding::fine(ABOUT, says),
    }
}

/// What Kapso checks besides. What it could not look at has neither passed nor failed.
fn checks(health: &NumberHealth) -> Vec<Finding> {
    const ABOUT: &str = "health";
    let (failed, not_known) = numbers::of_checks(health);
    let name = |check: &&Check| screen::plain(&check.name);
    let mut findings: Vec<Finding> = failed
        .iter()
        .map(|check| {
            let why = check.why.as_deref().unwrap_or("Kapso does not say why");
            let says = format!("Kapso's check {} failed: {}", name(check), screen::plain(why));
            Finding::wrong(
                ABOUT,
                says,
                "look at the number's health in Kapso, and connect the number again if it says so",
            )
        })
        .collect();
    if !not_known.is_empty() {
        let names: Vec<String> = not_known.iter().map(name).collect();
        findings.push(unknown(ABOUT, &format!("not known to Kapso: {}", names.join(", "))));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(ABOUT, "Kapso's checks of the number pass"));
    }
    findings
}

fn unknown(about: &'static str, says: &str) -> Finding {
    Finding { mark: Mark::Remark, ..Finding::remark(about, says, "look at the number in Kapso") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn marks(number: &Value, health: &Value) -> Vec<(&'static str, Mark)> {
        let (number, health) = (PhoneNumber::read(number), NumberHealth::read(health));
        let findings = number.zip(health).map(|(number, health)| judged(&number, Ok(&health)));
        findings.into_iter().flatten().map(|it| (it.about, it.mark)).filter(|it| it.1 != Mark::Fine).collect()
    }

    #[test]
    fn what_is_not_as_it_should_be_is_told() {
        let number = |change: Value| {
            let mut number = json!({ "id": 1, "inbound_processing_enabled": true, "status": "CONNECTED",
                "quality_rating": "GREEN", "whatsapp_business_manager_messaging_limit": "TIER_1K" });
            if let (Value::Object(number), Value::Object(change)) = (&mut number, change) {
                number.extend(change);
            }
            number
        };
        let health = |overall: &str, passed: Value, connected: Value| {
            json!({ "checks": { "messaging_health": { "passed": passed, "overall_status": overall },
                                "phone_number_connection": { "passed": connected } } })
        };
        let well = health("AVAILABLE", json!(true), json!(true));
        for (number, health, expected) in [
            (number(json!({})), well.clone(), None),
            (
                number(json!({ "inbound_processing_enabled": false })),
                well.clone(),
                Some(("inbound", Mark::Wrong)),
            ),
            (
                number(json!({ "inbound_processing_enabled": null })),
                well.clone(),
                Some(("inbound", Mark::Remark)),
            ),
            (number(json!({ "quality_rating": "RED" })), well.clone(), Some(("quality", Mark::Remark))),
            (number(json!({ "status": "DISCONNECTED" })), well, Some(("status", Mark::Wrong))),
            (
                number(json!({})),
                health("LIMITED", json!(false), json!(true)),
                Some(("messaging", Mark::Remark)),
            ),
            (
                number(json!({})),
                health("BLOCKED", json!(false), json!(true)),
                Some(("messaging", Mark::Wrong)),
            ),
            (
                number(json!({})),
                health("AVAILABLE", json!(true), json!(false)),
                Some(("health", Mark::Wrong)),
            ),
            (
                number(json!({})),
                health("AVAILABLE", json!(true), json!(null)),
                Some(("health", Mark::Remark)),
            ),
        ] {
            assert_eq!(marks(&number, &health), Vec::from_iter(expected), "{number} {health}");
        }
    }
}
