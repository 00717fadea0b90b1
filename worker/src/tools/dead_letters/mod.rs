//! `worker dead-letters`: what could not be projected, seen and settled by a person.

mod list;
mod settle;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;

use super::{database, screen};
use crate::archive::letters::Letter;

/// What to do with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List them, newest first; only open ones, unless --all or --resolved is given
    List(list::Arguments),
    /// Show one; its webhook's body only with --body
    Show(show::Arguments),
    /// Have a running worker try their webhooks again
    Requeue(settle::RequeueArguments),
    /// Mark them as resolved without projecting anything; the archive keeps their webhooks
    Drop(settle::DropArguments),
}

/// Does it.
///
/// # Errors
/// When the database is away, or nothing can be said.
pub async fn run(command: Command, options: &PgConnectOptions) -> anyhow::Result<ExitCode> {
    let pool = database::connect(options).await?;
    match command {
        Command::List(arguments) => list::run(&pool, arguments).await,
        Command::Show(arguments) => show::run(&pool, &arguments).await,
        Command::Requeue(arguments) => settle::requeue(&pool, arguments).await,
        Command::Drop(arguments) => settle::drop(&pool, arguments).await,
    }
}

/// A dead letter in JSON. The names are a promise to scripts.
#[derive(Serialize)]
struct Told {
    id: i64,
    state: &'static str,
    created_at: String,
    resolved_at: Option<String>,
    kind: Option<String>,
    item: Option<String>,
    reason: String,
    webhook_id: String,
    attempts: Option<i32>,
}

impl From<&Letter> for Told {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id,
            state: letter.state(),
            created_at: screen::instant(letter.created_at),
            resolved_at: letter.resolved_at.map(screen::instant),
            kind: letter.kind.clone(),
            item: letter.item.clone(),
            reason: letter.reason.clone(),
            webhook_id: letter.webhook(),
            attempts: letter.attempts,
        }
    }
}

/// What a person reads where an id is of nothing.
fn no_such(id: i64) -> String {
    format!("there is no dead letter {id}")
}
