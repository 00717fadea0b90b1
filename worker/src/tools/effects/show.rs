//! `worker effects show`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::{Told, no_such};
use crate::{
    effects::by_hand::{
        effects::{self, Attempt},
        explain::explain,
        lanes::{self, Lane, Named},
    },
    tools::screen::{self, instant, plain, say},
};

/// Which, and how.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Its id, as listed
    id: i64,
    /// Show texts and numbers unmasked
    #[arg(long)]
    show_text: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// In JSON: what a listing says, and what a person wants to know.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    effect: Told,
    why: String,
    next: String,
    written_at: Option<String>,
    lane_paused_until: Option<String>,
    lane_pause_reason: Option<String>,
    tries: Vec<Try>,
}

/// An attempt in JSON.
#[derive(Serialize)]
struct Try {
    attempt: i32,
    started_at: String,
    finished_at: Option<String>,
    http_status: Option<i32>,
    outcome: Option<String>,
}

pub(super) async fn run(pool: &PgPool, arguments: &Arguments, pause: Duration) -> anyhow::Result<ExitCode> {
    let Some(effect) = effects::find(pool, arguments.id).await? else {
        anyhow::bail!(no_such(arguments.id));
    };
    let lane = lane(pool, &effect.lane, pause).await?;
    let tries = effects::attempts(pool, effect.id).await?;
    let explained = explain(&effect, lane.as_ref(), OffsetDateTime::now_utc());
    let paused = lane.as_ref().and_then(|lane| lane.paused_until.zip(lane.pause_reason.clone()));
    let shown = Shown {
        effect: Told::of(&effect, arguments.show_text),
        why: plain(&explained.why),
        next: explained.next,
        written_at: effect.written_at.map(instant),
        lane_paused_until: paused.as_ref().map(|(until, _)| instant(*until)),
        lane_pause_reason: paused.map(|(_, why)| why),
        tries: tries.iter().map(Try::from).collect(),
    };
    if arguments.json {
        screen::json(&shown)?;
    } else {
        fields(&shown)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A lane by its id.
pub(super) async fn lane(pool: &PgPool, id: &str, pause: Duration) -> sqlx::Result<Option<Lane>> {
    Ok(match lanes::named(pool, id, pause).await? {
        Named::Lanes(lanes) | Named::Several(lanes) => lanes.into_iter().find(|lane| lane.id == id),
        Named::Nothing => None,
    })
}

fn fields(shown: &Shown) -> anyhow::Result<()> {
    let field = |name: &str, value: &str| say(format!("{name:<13} {}", plain(value)));
    let optional = |name: &str, value: &Option<String>| value.iter().try_for_each(|value| field(name, value));
    let effect = &shown.effect;
    field("effect", &format!("{} ({}, {})", effect.id, effect.kind, effect.state))?;
    field("why", &shown.why)?;
    field("next", &shown.next)?;
    field("owed", &effect.created_at)?;
    optional("settled", &effect.settled_at)?;
    optional("tried again", &effect.retried_at)?;
    field("until", &effect.expires_at)?;
    field("cause", &effect.message_id)?;
    optional("  written", &shown.written_at)?;
    optional("  rule", &effect.rule)?;
    optional("text", &effect.body)?;
    optional("to", &effect.recipient)?;
    optional("sent as", &effect.sent_message_id)?;
    optional("  status", &effect.sent_status)?;
    optional("conversation", &effect.conversation_id)?;
    field("lane", &effect.lane)?;
    match (&shown.lane_paused_until, &shown.lane_pause_reason) {
        (Some(until), Some(why)) => field("  paused", &format!("until {until}: {why}"))?,
        _ => field("  paused", "no")?,
    }
    for it in &shown.tries {
        let ended = match (&it.outcome, it.http_status) {
            (Some(outcome), Some(status)) => format!("HTTP {status}, {outcome}"),
            (Some(outcome), None) => outcome.clone(),
            (None, _) => "nobody saw its end".to_owned(),
        };
        field(&format!("attempt {}", it.attempt), &format!("{}: {ended}", it.started_at))?;
    }
    Ok(())
}

impl From<&Attempt> for Try {
    fn from(attempt: &Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            started_at: instant(attempt.started_at),
            finished_at: attempt.finished_at.map(instant),
            http_status: attempt.http_status,
            outcome: attempt.outcome.clone(),
        }
    }
}
