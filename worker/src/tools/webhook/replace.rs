//! A webhook of another kind: Kapso never changes a kind, so a new one is registered and the old one
//! deleted, in this order. In between everything comes twice, which is harmless; the other way round
//! something might not come at all.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use super::register::{Kind, Writing, warn};
use crate::{
    kapso::platform::Webhook,
    tools::screen::{confirm, plain, say},
};

/// What the person who runs it has said.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) replace: bool,
    pub(super) yes: bool,
    pub(super) dry_run: bool,
}

pub(super) async fn run(
    writing: &Writing<'_>,
    old: &Webhook,
    webhooks: &[Webhook],
    how: How,
) -> anyhow::Result<ExitCode> {
    let (id, is, becomes) = (plain(&old.id), Kind::of(old).name(), writing.kind.name());
    let must = format!(
        "webhook {id} is of kind {is}, and Kapso never changes a kind: to be of kind {becomes} it must be made anew"
    );
    if !how.replace {
        anyhow::bail!(
            "{must}. Nothing was done; this does it: worker webhook register --kind {becomes} --replace"
        );
    }
    say(format!("{must}: a new one is registered, and this one is deleted."))?;
    if how.dry_run {
        say("Nothing was done: this was a dry run.")?;
        return warn(webhooks, writing.place);
    }
    if !is_wanted(&id, how.yes)? {
        anyhow::bail!("nothing is done: nobody said yes (--yes)");
    }
    let new = writing.write(None).await?;
    if new.id == old.id {
        anyhow::bail!("Kapso gave the new webhook the old one's id, {id}: nothing is deleted");
    }
    if let Err(error) = writing.place.platform.delete(&old.id).await {
        anyhow::bail!(
            "the new webhook is there, and the old one could not be deleted, so that everything comes twice: delete {id} in Kapso ({error})"
        );
    }
    say(format!("webhook {id} is deleted."))?;
    let others: Vec<Webhook> = webhooks.iter().filter(|it| it.id != old.id).cloned().collect();
    let rest: Vec<Webhook> = others.into_iter().chain([new]).collect();
    warn(&rest, writing.place)
}

/// Asks; without somebody to ask, only `--yes` is a yes.
fn is_wanted(id: &str, yes: bool) -> anyhow::Result<bool> {
    if !yes && (!io::stdin().is_terminal() || !io::stderr().is_terminal()) {
        return Ok(false);
    }
    confirm(&format!("Register a new webhook, and delete {id}?"), yes)
}
