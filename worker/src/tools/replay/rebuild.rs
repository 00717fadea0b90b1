//! `worker replay --rebuild`.

use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use sqlx::PgPool;

use super::{Arguments, pages::Pages, preview};
use crate::{
    store::rebuild::Rebuild,
    tools::screen::{self, confirm, count, say},
};

/// Whatever ends a rebuild early leaves the projections as they were.
const UNTOUCHED: &str = "the projections are as they were";

/// What a rebuild came to, in JSON. The names are a promise to scripts.
#[derive(Serialize)]
struct Told {
    done: u64,
    interrupted: bool,
    replies: usize,
    rows_changed: u64,
    dead: u64,
    resolved: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<preview::Told>,
}

pub(super) async fn run(arguments: &Arguments, pool: PgPool, mut pages: Pages) -> anyhow::Result<ExitCode> {
    let question = "Rebuild the projections from the archive? Rows that it does not tell of are gone then.";
    if !confirm(question, arguments.yes || arguments.dry_run)? {
        say("Nothing was changed.")?;
        return Ok(ExitCode::FAILURE);
    }
    let mut rebuild = Rebuild::begin(pool).await.context(UNTOUCHED)?;
    while let Some(page) = pages.next().await.context(UNTOUCHED)? {
        rebuild.take(&page).await.context(UNTOUCHED)?;
        pages.advance(&page);
    }
    pages.end();
    let mut told = Told {
        done: pages.done(),
        interrupted: pages.interrupted(),
        replies: 0,
        rows_changed: 0,
        dead: 0,
        resolved: 0,
        preview: None,
    };
    if told.interrupted {
        if arguments.json {
            screen::json(&told)?;
        } else {
            say(format!("Interrupted: {UNTOUCHED}. A rebuild can't be gone on with; it begins anew."))?;
        }
        return Ok(pages.exit());
    }
    let rebuilt = rebuild.finish(arguments.dry_run).await.context(UNTOUCHED)?;
    (told.replies, told.rows_changed) = (rebuilt.replies, rebuilt.rows);
    (told.dead, told.resolved) = (rebuilt.noted.dead, rebuilt.noted.resolved);
    let mut preview = preview::Preview::new(arguments.rows, arguments.show_text);
    preview.add(rebuilt.changes);
    if arguments.json {
        told.preview = arguments.dry_run.then(|| preview.told());
        screen::json(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.dry_run {
        preview.say()?;
        say("Nothing was changed.")?;
    } else {
        say(told.line())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Told {
    fn line(&self) -> String {
        let from = format!(
            "Rebuilt from {} and {} of ours",
            count(self.done, "webhook", "webhooks"),
            count(self.replies, "reply", "replies")
        );
        let mut line = match self.rows_changed {
            0 => format!("{from}: every row was what they say"),
            rows => format!("{from}: {} changed", count(rows, "row", "rows")),
        };
        if self.dead > 0 {
            line += &format!("; {} dead", count(self.dead, "webhook is", "webhooks are"));
        }
        if self.resolved > 0 {
            line += &format!("; {} resolved", count(self.resolved, "dead letter", "dead letters"));
        }
        line + "."
    }
}
