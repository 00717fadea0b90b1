//! `worker dead-letters requeue` and `drop`. Each id is settled by itself, and what became of
//! it is said: one that can't be settled does not keep the others from it.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde::Serialize;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::no_such;
use crate::{
    archive::letters::{self, Letter, Wanted},
    tools::{
        screen::{self, confirm, count, say},
        when::when,
    },
};

/// Which to requeue.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub struct RequeueArguments {
    /// Their ids, as listed
    #[arg(group = "which", conflicts_with_all = ["all", "kind", "since"])]
    ids: Vec<i64>,
    /// All open ones
    #[arg(long, group = "which", conflicts_with_all = ["kind", "since"])]
    all: bool,
    /// Open ones whose webhook is of this kind
    #[arg(long, group = "which")]
    kind: Option<String>,
    /// Open ones made at this time or later: 2h (ago), 2026-11-24 (from 00:00 UTC), 2026-11-24T17:00:00Z
    #[arg(long, group = "which", value_parser = when)]
    since: Option<OffsetDateTime>,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// Which to drop.
#[derive(Clone, Debug, Args)]
pub struct DropArguments {
    /// Their ids, as listed
    #[arg(required = true)]
    ids: Vec<i64>,
    /// Do not ask first; without a terminal nothing is asked in any case
    #[arg(long)]
    yes: bool,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Requeued,
    PendingAlready,
    NotArchived,
    Dropped,
    ResolvedAlready,
    NotFound,
}

#[derive(Serialize)]
struct Settled {
    id: i64,
    outcome: Outcome,
    webhook_id: Option<String>,
}

pub(super) async fn requeue(pool: &PgPool, arguments: RequeueArguments) -> anyhow::Result<ExitCode> {
    let mut wanted = Vec::new();
    if arguments.ids.is_empty() {
        let (kind, since) = (arguments.kind, arguments.since);
        let open = Wanted { resolved: Some(false), kind, since, ..Wanted::default() };
        wanted.extend(letters::list(pool, &open).await?.into_iter().map(|letter| (letter.id, Some(letter))));
    }
    for id in arguments.ids {
        wanted.push((id, letters::find(pool, id).await?));
    }
    let mut settled = Vec::new();
    for (id, letter) in wanted {
        let outcome = match &letter {
            None => Outcome::NotFound,
            Some(letter) => requeue_one(pool, letter).await?,
        };
        settled.push(Settled { id, outcome, webhook_id: letter.map(|letter| letter.webhook()) });
    }
    let exit = tell(&settled, arguments.json)?;
    if !arguments.json {
        let waiting = settled.iter().filter(|it| it.outcome == Outcome::Requeued).count();
        say(match waiting {
            0 => "Nothing was requeued.".to_owned(),
            _ => format!(
                "{} for the slow lane: a running worker takes them within seconds. \
                 What fails again stays in `worker dead-letters list`.",
                count(waiting, "webhook waits", "webhooks wait")
            ),
        })?;
    }
    Ok(exit)
}

async fn requeue_one(pool: &PgPool, letter: &Letter) -> anyhow::Result<Outcome> {
    Ok(match letter.pending {
        None => Outcome::NotArchived,
        // Asked again: another dead letter of the same webhook may have been before this one.
        Some(_) if letters::requeue(pool, &letter.webhook_id).await? == 0 => Outcome::PendingAlready,
        Some(_) => Outcome::Requeued,
    })
}

pub(super) async fn drop(pool: &PgPool, arguments: DropArguments) -> anyhow::Result<ExitCode> {
    let what = count(arguments.ids.len(), "dead letter", "dead letters");
    if !confirm(&format!("Drop {what}, without projecting anything?"), arguments.yes)? {
        say("Nothing was dropped.")?;
        return Ok(ExitCode::FAILURE);
    }
    let mut settled = Vec::new();
    for id in arguments.ids {
        let letter = letters::find(pool, id).await?;
        let outcome = match &letter {
            None => Outcome::NotFound,
            Some(_) if letters::drop(pool, id).await? => Outcome::Dropped,
            Some(_) => Outcome::ResolvedAlready,
        };
        settled.push(Settled { id, outcome, webhook_id: letter.map(|letter| letter.webhook()) });
    }
    tell(&settled, arguments.json)
}

/// Says what became of each. It is a failure if something was not there.
fn tell(settled: &[Settled], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        screen::json(&settled)?;
    } else {
        settled.iter().try_for_each(|Settled { id, outcome, webhook_id }| {
            let webhook = webhook_id.as_deref().unwrap_or_default();
            say(match outcome {
                Outcome::Requeued => format!("{id}: requeued (webhook {webhook})"),
                Outcome::PendingAlready => format!("{id}: its webhook is pending already ({webhook})"),
                Outcome::NotArchived => format!("{id}: its webhook is not in the archive ({webhook})"),
                Outcome::Dropped => format!("{id}: dropped; the archive keeps webhook {webhook}"),
                Outcome::ResolvedAlready => format!("{id}: it is resolved already"),
                Outcome::NotFound => format!("{id}: {}", no_such(*id)),
            })
        })?;
    }
    let missing = |it: &Settled| matches!(it.outcome, Outcome::NotFound | Outcome::NotArchived);
    Ok(if settled.iter().any(missing) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
