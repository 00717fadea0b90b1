//! `worker webhook test`.

use std::process::ExitCode;

use clap::Args;

use super::{Which, place::Place};
use crate::{
    kapso::platform::Webhook,
    tools::screen::{plain, say},
    webhooks::{REQUIRED, is_meta},
};

/// What is tried of what the webhook is subscribed to, the most harmless first: a status of a
/// message that nobody knows says less than a message, and is answered by nobody.
const HARMLESS: [&str; 7] = [
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.sent",
    "whatsapp.conversation.inactive",
    "whatsapp.conversation.ended",
    "whatsapp.conversation.created",
    "whatsapp.message.received",
];

/// Which, and what.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The event to send: one that the webhook is subscribed to; default: the most harmless of those
    #[arg(long, value_name = "KIND")]
    event: Option<String>,
}

pub(super) async fn run(place: &Place, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { which, event } = arguments;
    let number = place.number(&which).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let webhook = place.chosen(&webhooks, &which)?;
    if webhook.active == Some(false) {
        anyhow::bail!("the webhook is paused: worker webhook resume");
    }
    let event = chosen(webhook, event.as_deref())?;
    place.platform.test(&webhook.id, event).await?;
    say(format!("Kapso was asked to send {} by webhook {}.", plain(event), plain(&webhook.id)))?;
    say(
        "Within seconds ingest's log says `webhook accepted` (or `webhook refused`, and why), and Postgres has it:",
    )?;
    say(
        "    SELECT received_at, kind, dialect, verified_by FROM webhooks ORDER BY received_at DESC LIMIT 1;",
    )?;
    say("If nothing comes: `worker webhook status` lists what failed, and how we answered.")?;
    Ok(ExitCode::SUCCESS)
}

/// The event to send; Kapso sends only what the webhook is subscribed to.
fn chosen<'a>(webhook: &'a Webhook, wanted: Option<&'a str>) -> anyhow::Result<&'a str> {
    let events = webhook.events.as_deref().unwrap_or_default();
    match (wanted, events) {
        // Of kind meta it lists none, and nobody documents which one it sends.
        (Some(wanted), []) => Ok(wanted),
        (Some(wanted), events) if events.iter().any(|event| event == wanted) => Ok(wanted),
        (Some(wanted), events) => {
            let events: Vec<_> = events.iter().map(|event| plain(event)).collect();
            anyhow::bail!(
                "the webhook is not subscribed to {}, and Kapso sends no test of it; it has {}",
                plain(wanted),
                events.join(", ")
            )
        }
        (None, []) if is_meta(webhook) => anyhow::bail!(
            "the webhook is of kind meta, and has no events of its own that a test could send: write to the number \
             instead, or name an event with --event"
        ),
        (None, []) => Ok(REQUIRED[0]),
        (None, [first, ..]) => {
            let subscribed = |event: &&str| events.iter().any(|there| there == *event);
            Ok(HARMLESS.into_iter().find(subscribed).unwrap_or(first))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_test_is_of_an_event_that_is_subscribed() {
        let webhook = |kind: &str, events: &[&str]| {
            Webhook::read(&json!({ "id": "w", "kind": kind, "events": events }))
        };
        let event = |webhook: Option<Webhook>, wanted| {
            webhook.and_then(|it| chosen(&it, wanted).map(str::to_owned).ok())
        };
        let (received, read) = ("whatsapp.message.received", "whatsapp.message.read");
        assert_eq!(event(webhook("kapso", &[received, read]), None).as_deref(), Some(read));
        assert_eq!(event(webhook("kapso", &[received]), None).as_deref(), Some(received));
        assert_eq!(event(webhook("kapso", &["of.tomorrow"]), None).as_deref(), Some("of.tomorrow"));
        assert_eq!(event(webhook("kapso", &[received, read]), Some(received)).as_deref(), Some(received));
        assert_eq!(event(webhook("kapso", &[received]), Some(read)), None);
        assert_eq!(event(webhook("meta", &[]), None), None);
        assert_eq!(event(webhook("meta", &[]), Some(read)).as_deref(), Some(read));
    }
}
