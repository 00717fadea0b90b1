//! `worker webhook test`.

use std::process::ExitCode;

use clap::Args;

use super::{Which, place::Place};
use crate::{
    tools::screen::{plain, say},
    webhooks::REQUIRED,
};

/// Which, and what.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The event to send
    #[arg(long, value_name = "KIND", default_value = REQUIRED[0])]
    event: String,
}

pub(super) async fn run(place: &Place, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { which, event } = arguments;
    let number = place.number(&which).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let webhook = place.chosen(&webhooks, &which)?;
    if webhook.active == Some(false) {
        anyhow::bail!("the webhook is paused: worker webhook resume");
    }
    place.platform.test(&webhook.id, &event).await?;
    say(format!("Kapso was asked to send {} by webhook {}.", plain(&event), plain(&webhook.id)))?;
    say(
        "Within seconds ingest's log says `webhook accepted` (or `webhook refused`, and why), and Postgres has it:",
    )?;
    say(
        "    SELECT received_at, kind, dialect, verified_by FROM webhooks ORDER BY received_at DESC LIMIT 1;",
    )?;
    say("If nothing comes: `worker webhook status` lists what failed, and how we answered.")?;
    Ok(ExitCode::SUCCESS)
}
