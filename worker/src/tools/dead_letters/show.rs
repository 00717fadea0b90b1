//! `worker dead-letters show`.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use super::{Told, no_such};
use crate::{
    archive::letters::{self, Copy},
    tools::screen::{self, count, instant, plain, say},
};

/// Which, and how much of it.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Its id, as listed
    id: i64,
    /// Print the webhook's body, which holds people's messages: on a terminal as formatted JSON, into a pipe or
    /// a file byte for byte
    #[arg(long)]
    body: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// In JSON: what a listing says, and the webhook.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    letter: Told,
    webhooks: Vec<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

/// A copy of the webhook in the archive.
#[derive(Serialize)]
struct Webhook {
    received_at: String,
    dialect: Option<String>,
    state: String,
    attempts: i32,
    verified_by: String,
    size: usize,
    headers: std::collections::BTreeMap<String, String>,
}

pub(super) async fn run(pool: &PgPool, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(letter) = letters::find(pool, arguments.id).await? else {
        anyhow::bail!(no_such(arguments.id));
    };
    let copies = letters::copies(pool, &letter.webhook_id).await?;
    // The same in every copy: the id is made of it.
    let body = copies.first().filter(|_| arguments.body).map(|copy| copy.body.as_slice());
    if arguments.body && body.is_none() {
        anyhow::bail!("the archive has no webhook {}", letter.webhook());
    }
    if arguments.json {
        let text = body.map(|body| std::str::from_utf8(body).map(str::to_owned));
        screen::json(&Shown {
            letter: Told::from(&letter),
            webhooks: copies.iter().map(Webhook::from).collect(),
            body_hex: matches!(text, Some(Err(_))).then(|| body.map(hex::encode)).flatten(),
            body: text.and_then(Result::ok),
        })?;
    } else if let Some(body) = body {
        print(body)?;
    } else {
        fields(&Told::from(&letter), &copies)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(body: &[u8]) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        return screen::bytes(body);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => screen::json(&json),
        Err(_) => String::from_utf8_lossy(body).lines().try_for_each(|line| say(plain(line))),
    }
}

fn fields(letter: &Told, copies: &[Copy]) -> anyhow::Result<()> {
    let field = |name: &str, value: &str| say(format!("{name:<12} {value}"));
    field("dead letter", &format!("{} ({})", letter.id, letter.state))?;
    field("made", &letter.created_at)?;
    letter.resolved_at.iter().try_for_each(|at| field("resolved", at))?;
    field("reason", &plain(&letter.reason))?;
    field("item", &letter.item.as_deref().map_or_else(|| "the whole webhook".to_owned(), plain))?;
    field("webhook", &letter.webhook_id)?;
    let Some(first) = copies.first() else {
        return field("archive", "it is not there: it can be dropped, and nothing else");
    };
    field("kind", &plain(&first.kind))?;
    field("size", &count(first.body.len(), "byte (--body prints it)", "bytes (--body prints them)"))?;
    for copy in copies {
        field("received", &instant(copy.received_at))?;
        field("  state", &state(copy))?;
        field("  attempts", &copy.attempts.to_string())?;
        field("  dialect", copy.dialect.as_deref().unwrap_or("not told"))?;
        field("  verified by", &plain(&copy.verified_by))?;
        for (name, value) in &copy.headers.0 {
            field("  header", &plain(&format!("{name}: {value}")))?;
        }
    }
    Ok(())
}

fn state(copy: &Copy) -> String {
    match (copy.dead_at, copy.projected_at) {
        (Some(at), _) => format!("dead since {}", instant(at)),
        (None, Some(at)) => format!("projected {}", instant(at)),
        (None, None) => "pending".to_owned(),
    }
}

impl From<&Copy> for Webhook {
    fn from(copy: &Copy) -> Self {
        Self {
            received_at: instant(copy.received_at),
            dialect: copy.dialect.clone(),
            state: state(copy),
            attempts: copy.attempts,
            verified_by: copy.verified_by.clone(),
            size: copy.body.len(),
            headers: copy.headers.0.clone(),
        }
    }
}
