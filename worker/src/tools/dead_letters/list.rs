//! `worker dead-letters list`.

use std::process::ExitCode;

use clap::Args;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::Told;
use crate::{
    archive::letters::{self, Letter, Wanted},
    tools::{
        screen::{self, count, plain, say},
        table::Table,
        when::when,
    },
};

/// How many a person gets to see unless they ask for more.
const LINES: i64 = 100;

/// How much of a webhook's id is shown: enough to paste, and to tell it from all others.
const ID_DIGITS: usize = 12;

/// Which, and how.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Only those whose webhook is of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only those made at this time or later: 2h (ago), 2026-11-24 (from 00:00 UTC), 2026-11-24T17:00:00Z
    #[arg(long, value_parser = when)]
    since: Option<OffsetDateTime>,
    /// Only those made before this time
    #[arg(long, value_parser = when)]
    until: Option<OffsetDateTime>,
    /// Also those that are resolved
    #[arg(long, conflicts_with = "resolved")]
    all: bool,
    /// Only those that are resolved
    #[arg(long)]
    resolved: bool,
    /// List at most this many; default: 100, with --json all
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(pool: &PgPool, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let wanted = Wanted {
        resolved: (!arguments.all).then_some(arguments.resolved),
        kind: arguments.kind,
        since: arguments.since,
        until: arguments.until,
        limit: arguments.limit.or((!arguments.json).then_some(LINES)),
    };
    let found = letters::list(pool, &wanted).await?;
    if arguments.json {
        screen::json(&found.iter().map(Told::from).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(first) = found.first() else {
        let which = if wanted.resolved == Some(false) {
            "There is no open dead letter"
        } else {
            "There is no dead letter"
        };
        let restricted = wanted.kind.is_some() || wanted.since.is_some() || wanted.until.is_some();
        say(format!("{which}{}.", if restricted { " like that" } else { "" }))?;
        return Ok(ExitCode::SUCCESS);
    };
    table(&found).lines(screen::columns()).into_iter().try_for_each(say)?;
    let more = usize::try_from(first.total).unwrap_or_default().saturating_sub(found.len());
    if more > 0 {
        say(format!("… and {}: give a --limit to see more of them", count(more, "other", "others")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One line each, and the reason beneath it: that is what a person looks for, and it is long.
fn table(found: &[Letter]) -> Table<6> {
    let mut table = Table::new(["ID", "WHEN (UTC)", "KIND", "ITEM", "TRIES", "WEBHOOK"]);
    for letter in found {
        let state = match letter.state() {
            "open" => String::new(),
            state => format!("({state}) "),
        };
        table.row(
            [
                letter.id.to_string(),
                screen::minute(letter.created_at),
                letter.kind.as_deref().map_or_else(|| "(not archived)".to_owned(), plain),
                letter.item.as_deref().map_or_else(|| "all".to_owned(), plain),
                letter.attempts.map_or_else(String::new, |attempts| attempts.to_string()),
                letter.webhook().chars().take(ID_DIGITS).collect(),
            ],
            format!("{state}{}", plain(&letter.reason)),
        );
    }
    table
}
