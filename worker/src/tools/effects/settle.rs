//! `worker effects retry` and `discard`. Each id is decided by itself, and what became of it is
//! said: one that can't be tried again does not keep the others from it.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::{no_such, show::lane};
use crate::{
    effects::by_hand::effects::{self, Effect},
    tools::screen::{self, confirm, instant, say},
};

/// Which to try again.
#[derive(Clone, Debug, Args)]
pub struct RetryArguments {
    /// Their ids, as listed
    #[arg(required = true)]
    ids: Vec<i64>,
    /// Also those that are too old by now; they get 15 minutes to be sent
    #[arg(long)]
    even_if_old: bool,
    /// Do not ask before retrying an unknown one, which may arrive twice; without a terminal those need this
    #[arg(long)]
    yes: bool,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// Which to discard.
#[derive(Clone, Debug, Args)]
pub struct DiscardArguments {
    /// Their ids, as listed
    #[arg(required = true)]
    ids: Vec<i64>,
    /// Why, for whoever looks at them later
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// What became of an effect.
#[derive(Serialize)]
struct Decided {
    id: i64,
    /// Whether it is as it was wanted.
    decided: bool,
    /// What is so now, or why nothing was done.
    said: String,
}

pub(super) async fn retry(
    pool: &PgPool,
    arguments: &RetryArguments,
    pause: Duration,
) -> anyhow::Result<ExitCode> {
    let mut decided = Vec::new();
    for id in &arguments.ids {
        let said = match effects::find(pool, *id).await? {
            None => Err(no_such(*id)),
            Some(effect) => retry_one(pool, &effect, arguments, pause).await?,
        };
        decided.push(Decided::of(*id, said));
    }
    tell(&decided, arguments.json)
}

async fn retry_one(
    pool: &PgPool,
    effect: &Effect,
    arguments: &RetryArguments,
    pause: Duration,
) -> anyhow::Result<Result<String, String>> {
    if let Some(refusal) = refusal(effect, arguments.even_if_old, OffsetDateTime::now_utc()) {
        return Ok(Err(refusal));
    }
    let lane = lane(pool, &effect.lane, pause).await?.filter(|_| effect.kind == "send_text");
    if let Some(until) = lane.and_then(|lane| lane.paused_until) {
        let resume = format!(
            "`worker conversations resume '{}'`",
            effect.conversation_id.as_deref().unwrap_or(&effect.lane)
        );
        return Ok(Err(format!(
            "its lane is paused until {}, and it would be discarded: {resume} comes first",
            instant(until)
        )));
    }
    if effect.state == "unknown" && !may_double(effect, arguments.yes)? {
        return Ok(Err("nothing is done: nobody said yes (--yes)".to_owned()));
    }
    Ok(if effects::retry(pool, effect.id, &effect.state).await? {
        Ok("pending: a running worker whose effects are on tries it within a second".to_owned())
    } else {
        Err("it has changed meanwhile: look at it again".to_owned())
    })
}

/// Why an effect is not tried again, where nobody can want that.
fn refusal(effect: &Effect, even_if_old: bool, now: OffsetDateTime) -> Option<String> {
    match effect.state.as_str() {
        "pending" => return Some("it is pending already".to_owned()),
        "done" => return Some("it is done: Kapso took it".to_owned()),
        _ => {}
    }
    // Two messages turned out to be one; this is what the other one owed.
    if effect.message_id.contains(" #") {
        return Some(
            "another effect is owed in its place: its message turned out to be one with another".to_owned(),
        );
    }
    (effect.expires_at < now && !even_if_old).then(|| {
        format!(
            "it has been too old since {}: --even-if-old tries it all the same",
            instant(effect.expires_at)
        )
    })
}

/// Asks; without somebody to ask, only `--yes` is a yes.
fn may_double(effect: &Effect, yes: bool) -> anyhow::Result<bool> {
    if !yes && (!io::stdin().is_terminal() || !io::stderr().is_terminal()) {
        return Ok(false);
    }
    let question = format!(
        "Nobody knows whether effect {} arrived. If it did, the person gets it a second time. Try again?",
        effect.id
    );
    confirm(&question, yes)
}

pub(super) async fn discard(pool: &PgPool, arguments: &DiscardArguments) -> anyhow::Result<ExitCode> {
    let mut decided = Vec::new();
    for id in &arguments.ids {
        let said = if effects::discard(pool, *id, &arguments.reason).await? {
            Ok("discarded".to_owned())
        } else {
            match effects::find(pool, *id).await? {
                None => Err(no_such(*id)),
                Some(effect) if effect.lease.is_some() => {
                    Err("a worker is performing it right now: it will be settled within seconds".to_owned())
                }
                Some(effect) => Err(format!("it is {} already", effect.state)),
            }
        };
        decided.push(Decided::of(*id, said));
    }
    tell(&decided, arguments.json)
}

impl Decided {
    fn of(id: i64, said: Result<String, String>) -> Self {
        match said {
            Ok(said) => Self { id, decided: true, said },
            Err(said) => Self { id, decided: false, said },
        }
    }
}

/// Says what became of each. It is a failure if one could not be decided.
fn tell(decided: &[Decided], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        screen::json(&decided)?;
    } else {
        decided.iter().try_for_each(|it| say(format!("{}: {}", it.id, it.said)))?;
    }
    Ok(if decided.iter().all(|it| it.decided) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
