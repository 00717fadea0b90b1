//! `worker effects list`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::{State, Told};
use crate::{
    effects::{
        EffectKind,
        by_hand::effects::{self, Wanted},
    },
    tools::{
        screen::{self, count, plain, say},
        table::Table,
        when::when,
    },
};

/// How many a person gets to see unless they ask for more.
const LINES: i64 = 100;

/// Which, and how.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// Only those of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Only those of this lane
    #[arg(long)]
    lane: Option<String>,
    /// Only those of messages of this conversation
    #[arg(long)]
    conversation: Option<String>,
    /// Only those recorded at this time or later: 2h (ago), 2026-11-24 (from 00:00 UTC), 2026-11-24T17:00:00Z
    #[arg(long, value_parser = when)]
    since: Option<OffsetDateTime>,
    /// List at most this many; default: 100, with --json all
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Show texts and numbers unmasked
    #[arg(long)]
    show_text: bool,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// A kind, as the table has it.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    SendText,
    MarkRead,
}

impl From<Kind> for EffectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::SendText => Self::SendText,
            Kind::MarkRead => Self::MarkRead,
        }
    }
}

pub(super) async fn run(pool: &PgPool, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let wanted = Wanted {
        state: arguments.state.map(|state| state.name().to_owned()),
        kind: arguments.kind.map(|kind| EffectKind::from(kind).name().to_owned()),
        lanes: arguments.lane.map(|lane| vec![lane]),
        conversation: arguments.conversation,
        since: arguments.since,
        limit: arguments.limit.or((!arguments.json).then_some(LINES)),
    };
    let found = effects::list(pool, &wanted).await?;
    let told: Vec<Told> = found.iter().map(|effect| Told::of(effect, arguments.show_text)).collect();
    if arguments.json {
        screen::json(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(first) = found.first() else {
        say("There is no such effect.")?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut table = Table::new(["ID", "OWED (UTC)", "KIND", "STATE", "TRIES", "CONVERSATION"]);
    for (effect, told) in found.iter().zip(told) {
        // What is done needs no reason, unless it failed later or Meta holds it; of the rest, the reason is what a person looks for.
        let failed = told.sent_error.map(|why| format!("not delivered: {}", plain(&why)));
        let is_told = told.state != "done" || effect.is_held();
        let outcome = failed.or_else(|| told.outcome.filter(|_| is_told).map(|it| plain(&it)));
        let text =
            told.body.map(|body| if arguments.show_text { format!("\"{}\"", plain(&body)) } else { body });
        table.row(
            [
                told.id.to_string(),
                screen::minute(effect.created_at),
                told.kind,
                told.state,
                told.attempts.to_string(),
                told.conversation_id.map_or_else(|| plain(&told.lane), |id| plain(&id)),
            ],
            text.into_iter().chain(outcome).collect::<Vec<_>>().join("; "),
        );
    }
    table.lines(screen::columns()).into_iter().try_for_each(say)?;
    let more = usize::try_from(first.total).unwrap_or_default().saturating_sub(found.len());
    if more > 0 {
        say(format!("… and {}: give a --limit to see more of them", count(more, "other", "others")))?;
    }
    Ok(ExitCode::SUCCESS)
}
