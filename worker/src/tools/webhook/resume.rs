//! `worker webhook resume`.

use std::process::ExitCode;

use time::Duration;

use super::{Which, place::Place};
use crate::{
    kapso::platform::{Webhook, WebhookChange},
    tools::screen::{instant, plain, say},
};

/// What led to the pause failed before it: Kapso is said to count over 15 minutes, and tries for
/// some more.
const BEFORE: Duration = Duration::hours(1);

pub(super) async fn run(place: &Place, which: Which) -> anyhow::Result<ExitCode> {
    let number = place.number(&which).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let webhook = place.chosen(&webhooks, &which)?;
    let id = plain(&webhook.id);
    if webhook.active == Some(true) {
        say(format!("webhook {id} is active: nothing is changed"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let change = WebhookChange { active: Some(true), ..WebhookChange::default() };
    let now = place.platform.change(&webhook.id, &change).await?;
    if now.active == Some(false) {
        anyhow::bail!("Kapso says that it is paused all the same: try it in Kapso's dashboard");
    }
    say(format!("webhook {id} is resumed: what happens from now on comes."))?;
    say("What happened while it was paused does not come by itself. Ask for it:")?;
    say(format!("    worker backfill --since {}", since(webhook)))?;
    Ok(ExitCode::SUCCESS)
}

/// Pausing it was the last change of it.
fn since(webhook: &Webhook) -> String {
    webhook.updated_at.map_or_else(|| "24h".to_owned(), |at| instant(at - BEFORE))
}
