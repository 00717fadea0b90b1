//! `worker replay`: archived webhooks projected again, some of them or all, onto what is there
//! or (`--rebuild`) in its place.

mod mask;
mod pages;
mod preview;
mod progress;
mod rebuild;
mod selected;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use contract::lifecycle;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;

use super::{database, screen};
use crate::{
    effects::Policy,
    store::{Store, replay::Effects, replay::Replayed},
};
use pages::Pages;
use selected::Selected;

/// What to replay, and how.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selected: Selected,
    /// Also record the replies and marks that the messages would cause if they came now, for a worker to send: only
    /// for messages that are young enough and that none is recorded for yet
    #[arg(long, conflicts_with = "rebuild")]
    effects: bool,
    /// Change nothing; show what would change
    #[arg(long)]
    dry_run: bool,
    /// Show people's texts, names and numbers unmasked
    #[arg(long, requires = "dry_run")]
    show_text: bool,
    /// How many changed rows a dry run shows; all are counted
    #[arg(long, requires = "dry_run", default_value_t = 20)]
    rows: usize,
    /// Do not ask before --rebuild; without a terminal nothing is asked in any case
    #[arg(long)]
    yes: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// What a replay came to, in JSON. The names are a promise to scripts.
#[derive(Serialize)]
struct Told {
    selected: i64,
    pending: i64,
    done: u64,
    projected: u64,
    dead: u64,
    resolved: u64,
    owed: u64,
    interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    go_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<preview::Told>,
}

/// Does it.
///
/// # Errors
/// When the database is away, or a webhook that is asked for by its id is not there.
pub async fn run(
    arguments: Arguments,
    options: &PgConnectOptions,
    policy: Policy,
) -> anyhow::Result<ExitCode> {
    if let (true, Some(why)) = (arguments.effects, policy.off) {
        // It would be recorded as refused, and stay so when the message's own event comes.
        anyhow::bail!("--effects: {why}, so that nothing would be sent");
    }
    let stop = lifecycle::stop_on_signals().context("signals can't be handled")?;
    let pool = database::connect(options).await?;
    let store = Store::new(pool.clone(), policy);
    let selection = arguments.selected.read(&mut *pool.acquire().await?).await?;
    let mut pages = Pages::survey(pool.clone(), selection, stop).await?;
    if !arguments.json {
        screen::say(pages.told())?;
    }
    if arguments.selected.rebuild {
        return rebuild::run(&arguments, pool, pages).await;
    }
    let effects = if arguments.effects { Effects::Owed } else { Effects::Off };
    let mut replayed = Replayed::default();
    let mut preview = arguments.dry_run.then(|| preview::Preview::new(arguments.rows, arguments.show_text));
    while let Some(page) = pages.next().await? {
        let came_to = match &mut preview {
            None => pages.patiently(async || store.replay(&page, effects).await).await,
            Some(preview) => {
                let shown = pages.patiently(async || store.preview(&page, effects).await).await;
                shown.map(|(came_to, changes)| {
                    preview.add(changes);
                    came_to
                })
            }
        };
        match came_to {
            Ok(came_to) => replayed.add(came_to),
            Err(error) => {
                pages.end();
                let go_on = pages.go_on(&arguments.selected, arguments.effects);
                return Err(error)
                    .context(format!("stopped after {} webhooks; to go on: {go_on}", pages.done()));
            }
        }
        pages.advance(&page);
    }
    pages.end();
    let go_on = pages.interrupted().then(|| pages.go_on(&arguments.selected, arguments.effects));
    let told = Told {
        selected: pages.survey.done,
        pending: pages.survey.pending,
        done: pages.done(),
        projected: replayed.projected,
        dead: replayed.dead,
        resolved: replayed.resolved,
        owed: replayed.owed,
        interrupted: pages.interrupted(),
        go_on,
        preview: preview.as_ref().map(preview::Preview::told),
    };
    if arguments.json {
        screen::json(&told)?;
    } else {
        if let Some(preview) = &preview {
            preview.say()?;
        }
        told.say(arguments.dry_run, arguments.effects)?;
    }
    Ok(pages.exit())
}

impl Told {
    fn say(&self, dry_run: bool, effects: bool) -> anyhow::Result<()> {
        use screen::count;
        let webhooks = count(self.done, "webhook", "webhooks");
        let verb = if dry_run { "would be projected again" } else { "projected again" };
        let mut line = format!("{webhooks} {verb}");
        if self.dead > 0 {
            line += &format!(", {} of them dead letters", self.dead);
        }
        if self.resolved > 0 {
            line += &format!("; {} resolved", count(self.resolved, "dead letter", "dead letters"));
        }
        if effects {
            line += &format!("; {} owed that were not", count(self.owed, "effect", "effects"));
        }
        screen::say(format!("{line}."))?;
        if dry_run {
            screen::say("Nothing was changed.")?;
        }
        if let Some(go_on) = &self.go_on {
            screen::say(format!("Interrupted. To go on:\n  {go_on}"))?;
        }
        Ok(())
    }
}
