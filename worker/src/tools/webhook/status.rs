//! `worker webhook status`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Which, place::Place};
use crate::{
    kapso::platform::{Delivery, DeliveryQuery, Webhook},
    tools::screen::{self, count, minute, plain, say},
    webhooks::{self, Finding, Severity},
};

/// How many failed deliveries are shown one by one.
const SHOWN: usize = 5;

/// How many are asked for: a page.
const ASKED: u32 = 100;

/// Of which number, and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The number, by its id at Meta; default: KAPSO_PHONE_NUMBER_ID, else the only number
    #[arg(long, value_name = "PHONE_NUMBER_ID")]
    number: Option<String>,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// All that is known.
struct Status {
    number: String,
    webhooks: Vec<Webhook>,
    ours: Option<String>,
    findings: Vec<Finding>,
    /// Failed within a day; why they could not be listed.
    failed: Result<Vec<Delivery>, String>,
}

pub(super) async fn run(place: &Place, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let number = place.number(&Which { number: arguments.number, id: None }).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let wanted = place.wanted();
    let ours = webhooks::ours(&webhooks, &wanted).map(|our| our.id.clone());
    let failed = match &ours {
        None => Ok(Vec::new()),
        Some(id) => {
            let query = DeliveryQuery {
                webhook_id: Some(id),
                status: Some("failed"),
                period: Some("24h"),
                limit: Some(ASKED),
            };
            place.platform.deliveries(&query).await.map_err(|error| error.to_string())
        }
    };
    let mut findings = webhooks::diagnose(&webhooks, &wanted);
    findings.extend(of_failed(&failed));
    if place.public.as_ref().is_some_and(|url| !url.is_https()) {
        findings.push(Finding {
            severity: Severity::Remark,
            what: "BUZON_PUBLIC_URL is http://, and Kapso documents https:// alone".to_owned(),
            remedy: "put a proxy with TLS in front of ingest".to_owned(),
            is_paused: false,
        });
    }
    let status = Status { number, webhooks, ours, findings, failed };
    if arguments.json {
        screen::json(&status.json())?
    } else {
        status.say()?
    }
    let is_fine = status.findings.iter().all(|finding| finding.severity == Severity::Remark);
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A few failures are Kapso's retries at work; what was given up is lost until it is backfilled.
fn of_failed(failed: &Result<Vec<Delivery>, String>) -> Option<Finding> {
    let failed = failed.as_ref().ok().filter(|failed| !failed.is_empty())?;
    let oldest = failed.iter().filter_map(Delivery::at).min();
    let since = oldest.map_or_else(|| "24h".to_owned(), screen::instant);
    Some(Finding {
        severity: Severity::Remark,
        what: format!("Kapso has given up {} within a day", count(failed.len(), "delivery", "deliveries")),
        remedy: format!("ask for what did not come: worker backfill --since {since}"),
        is_paused: false,
    })
}

impl Status {
    fn say(&self) -> anyhow::Result<()> {
        say(format!("number    {}", plain(&self.number)))?;
        for webhook in &self.webhooks {
            let mark = if Some(&webhook.id) == self.ours.as_ref() { "ours" } else { "another" };
            say(format!("\nwebhook   {} ({mark})", plain(&webhook.id)))?;
            lines(webhook).into_iter().try_for_each(say)?;
        }
        match &self.failed {
            Err(why) => say(format!("\nWhat failed could not be listed: {}", plain(why)))?,
            Ok(failed) => failed.iter().take(SHOWN).try_for_each(|delivery| say(line(delivery)))?,
        }
        say("")?;
        for Finding { severity, what, remedy, .. } in &self.findings {
            say(format!("{}: {}\n    → {}", severity.name(), plain(what), plain(remedy)))?;
        }
        if self.findings.iter().all(|finding| finding.severity == Severity::Remark) {
            say("The webhook is as it should be.")?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let findings = self
            .findings
            .iter()
            .map(|it| json!({ "severity": it.severity.name(), "what": it.what, "remedy": it.remedy }));
        let webhooks = self.webhooks.iter().map(|it| {
            json!({
                "id": it.id, "ours": Some(&it.id) == self.ours.as_ref(), "url": it.url, "active": it.active,
                "kind": it.kind, "payload_version": it.payload_version, "events": it.events,
                "buffer_enabled": it.buffer_enabled,
            })
        });
        json!({
            "phone_number_id": self.number,
            "webhooks": webhooks.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
            "failed_deliveries": self.failed.as_ref().ok().map(Vec::len),
        })
    }
}

fn lines(webhook: &Webhook) -> Vec<String> {
    let known = |text: &Option<String>| text.as_deref().map_or_else(|| "not known".to_owned(), plain);
    let state = match webhook.active {
        Some(true) => "active",
        Some(false) => "paused",
        None => "not known",
    };
    let buffering = match (webhook.buffer_enabled, webhook.buffer_window_seconds) {
        (Some(true), Some(seconds)) => format!("for {seconds} s"),
        (Some(true), None) => "on".to_owned(),
        (Some(false), _) => "off".to_owned(),
        (None, _) => "not known".to_owned(),
    };
    let events = webhook.events.as_ref().map(|events| events.join(" "));
    vec![
        format!("  url       {}", known(&webhook.url)),
        format!("  state     {state}"),
        format!("  kind      {}, payload version {}", known(&webhook.kind), known(&webhook.payload_version)),
        format!("  buffering {buffering}"),
        format!("  events    {}", known(&events)),
    ]
}

fn line(delivery: &Delivery) -> String {
    let at = delivery.at().map_or_else(|| "at some time".to_owned(), minute);
    let event = delivery.event.as_deref().map_or_else(|| "an event".to_owned(), plain);
    let answered = match delivery.response_status {
        Some(status) => format!("answered {status}"),
        None => "no answer".to_owned(),
    };
    format!("  failed    {at}  {event}  {answered}")
}
