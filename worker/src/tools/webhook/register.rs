//! `worker webhook register`: once or many times, it is registered once.

use std::process::ExitCode;

use clap::Args;

use super::{Which, place::Place};
use crate::{
    kapso::platform::{PlatformError, Webhook, WebhookChange},
    tools::screen::{plain, say},
    webhooks::{self, EVENTS, REQUIRED, Severity},
};

/// The version of payloads that is asked for.
const VERSION: &str = "v2";

/// Which, and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(place: &Place, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { which, dry_run } = arguments;
    let number = place.number(&which).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let wanted = place.wanted();
    let existing = match which.id {
        Some(_) => Some(place.chosen(&webhooks, &which)?),
        None => webhooks::ours(&webhooks, &wanted),
    };
    if let Some(existing) = existing {
        let differs = differences(existing, place);
        if differs.is_empty() {
            say(format!("webhook {} is as it should be: nothing is changed", plain(&existing.id)))?;
            return warn(&webhooks, place);
        }
        say(format!("webhook {} is changed: {}", plain(&existing.id), differs.join(", ")))?;
    } else {
        say("a webhook is registered: it goes to BUZON_PUBLIC_URL, signed with KAPSO_WEBHOOK_SECRET")?;
    }
    if dry_run {
        say("Nothing was done: this was a dry run.")?;
        return warn(&webhooks, place);
    }
    let (done, left_out) = write(place, &number, existing).await?;
    if !left_out.is_empty() {
        say(format!("Kapso does not know {}: registered without", left_out.join(", ")))?;
    }
    say(format!(
        "webhook {}: done. See it with `worker webhook status`, try it with `worker webhook test`.",
        plain(&done.id)
    ))?;
    if done.active == Some(false) {
        anyhow::bail!("Kapso says that it is paused all the same: worker webhook resume");
    }
    warn(&webhooks, place)
}

/// Registers or changes it; what Kapso does not know and can be done without is left out.
async fn write(
    place: &Place,
    number: &str,
    existing: Option<&Webhook>,
) -> Result<(Webhook, Vec<&'static str>), PlatformError> {
    let mut events = EVENTS.to_vec();
    let mut left_out = Vec::new();
    loop {
        let change = change(place, &events, existing);
        let done = match existing {
            Some(existing) => place.platform.change(&existing.id, &change).await,
            None => place.platform.create(number, &change).await,
        };
        let refused = match done {
            Ok(webhook) => return Ok((webhook, left_out)),
            Err(PlatformError::Refused { what, why }) => PlatformError::Refused { what, why },
            Err(error) => return Err(error),
        };
        let unknown = webhooks::unsupported(&refused.to_string());
        let can_do_without = |event: &&str| !REQUIRED.contains(event) && events.contains(event);
        if unknown.is_empty() || !unknown.iter().all(can_do_without) {
            return Err(refused);
        }
        events.retain(|event| !unknown.contains(event));
        left_out.extend(unknown);
    }
}

/// All that Buzón needs. Of a webhook of kind meta neither the events nor the version can be
/// chosen.
fn change<'a>(place: &'a Place, events: &'a [&'a str], existing: Option<&Webhook>) -> WebhookChange<'a> {
    let all = WebhookChange {
        url: place.wanted().url,
        kind: existing.is_none().then_some("kapso"),
        events: Some(events),
        secret_key: place.secret(),
        active: Some(true),
        payload_version: Some(VERSION),
    };
    match existing {
        Some(existing) if is_meta(existing) => WebhookChange { events: None, payload_version: None, ..all },
        _ => all,
    }
}

/// What is not as it should be, in words. A secret that Kapso does not show may be another: it
/// is set.
fn differences(existing: &Webhook, place: &Place) -> Vec<&'static str> {
    let secret = existing.secret_key.as_ref().zip(place.secret());
    let subscribed =
        |events: &Vec<String>| EVENTS.iter().all(|event| events.iter().any(|there| there == event));
    let checks = [
        ("url", existing.url.as_deref() == place.wanted().url),
        ("active", existing.active == Some(true)),
        ("secret", secret.is_some_and(|(theirs, ours)| theirs.expose() == ours.expose())),
        ("events", is_meta(existing) || existing.events.as_ref().is_some_and(subscribed)),
        ("payload version", is_meta(existing) || existing.payload_version.as_deref() == Some(VERSION)),
    ];
    checks.into_iter().filter(|(_, is_so)| !is_so).map(|(name, _)| name).collect()
}

fn is_meta(webhook: &Webhook) -> bool {
    webhook.kind.as_deref() == Some("meta")
}

/// Says what registering does not mend: above all, others that are told the same.
fn warn(before: &[Webhook], place: &Place) -> anyhow::Result<ExitCode> {
    let url = place.wanted().url;
    let active = || before.iter().filter(|webhook| webhook.active != Some(false));
    let here = active().filter(|webhook| webhook.url.as_deref() == url).count();
    let elsewhere = active().filter(|webhook| webhook.url.as_deref() != url).count();
    if here > 1 {
        say(format!(
            "{}: {here} active webhooks of the number go to the same address: everything comes twice. Delete all but one in Kapso.",
            Severity::Flaw.name()
        ))?;
    }
    if elsewhere > 0 {
        say(format!(
            "{}: {elsewhere} active webhooks of the number go elsewhere. If somebody answers there too, people get two answers.",
            Severity::Remark.name()
        ))?;
    }
    if place.public.as_ref().is_some_and(|url| !url.is_https()) {
        say(format!(
            "{}: BUZON_PUBLIC_URL is http://, and Kapso documents https:// alone.",
            Severity::Remark.name()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
