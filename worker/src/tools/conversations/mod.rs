//! `worker conversations`: automatic replies paused and resumed by hand, and what pauses them.

use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use sqlx::{PgPool, postgres::PgConnectOptions};
use time::{Duration, OffsetDateTime};

use super::{
    database,
    effects::masked_lane,
    screen::{self, instant, minute, plain, say},
    table::Table,
    when::{span, when},
};
use crate::effects::by_hand::lanes::{self, Lane, Named};

/// How long a pause by hand may be: longer, and nobody remembers it.
const LONGEST: Duration = Duration::days(366);

/// What to do with conversations.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List whose automatic replies are paused now, and why
    List(ListArguments),
    /// Pause automatic replies to a person; their messages are still marked as read
    Pause(PauseArguments),
    /// End a pause, whatever caused it
    Resume(ResumeArguments),
}

/// How to list.
#[derive(Clone, Debug, Args)]
pub struct ListArguments {
    /// Show numbers unmasked
    #[arg(long)]
    show_text: bool,
    /// Print JSON: an array
    #[arg(long)]
    json: bool,
}

/// Whom to pause, and until when.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("end").required(true))]
pub struct PauseArguments {
    /// A conversation's id, the person's number (with its country code) or BSUID, or a lane's id
    id: String,
    /// How long: 90s, 30m, 2h, 7d
    #[arg(long = "for", group = "end", value_name = "SPAN", value_parser = span)]
    span: Option<Duration>,
    /// Until when: 2026-11-24T17:00:00Z, or 2026-11-24 (until 00:00 UTC)
    #[arg(long, group = "end", value_parser = when)]
    until: Option<OffsetDateTime>,
    /// Why, for whoever looks at it later
    #[arg(long)]
    reason: Option<String>,
}

/// Whom to resume.
#[derive(Clone, Debug, Args)]
pub struct ResumeArguments {
    /// A conversation's id, the person's number (with its country code) or BSUID, or a lane's id
    id: String,
}

/// Does it. `pause`: how long a takeover lasts.
///
/// # Errors
/// When the database is away, or an id is of nothing or of several.
pub async fn run(command: Command, options: &PgConnectOptions, pause: Duration) -> anyhow::Result<ExitCode> {
    let pool = database::connect(options).await?;
    match command {
        Command::List(arguments) => list(&pool, &arguments, pause).await?,
        Command::Pause(arguments) => pause_lanes(&pool, &arguments, pause).await?,
        Command::Resume(arguments) => resume(&pool, &arguments, pause).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A paused lane in JSON. The names are a promise to scripts.
#[derive(Serialize)]
struct Told {
    lane: String,
    conversation_id: Option<String>,
    paused_until: Option<String>,
    pause_reason: Option<String>,
}

async fn list(pool: &PgPool, arguments: &ListArguments, pause: Duration) -> anyhow::Result<()> {
    let found = lanes::paused(pool, pause).await?;
    let shown = |lane: &Lane| if arguments.show_text { plain(&lane.id) } else { masked_lane(&lane.id) };
    if arguments.json {
        let told = found.iter().map(|lane| Told {
            lane: shown(lane),
            conversation_id: lane.conversation_id.clone(),
            paused_until: lane.paused_until.map(instant),
            pause_reason: lane.pause_reason.clone(),
        });
        return screen::json(&told.collect::<Vec<_>>());
    }
    if found.is_empty() {
        return say("No conversation is paused.");
    }
    let mut table = Table::new(["CONVERSATION", "PAUSED UNTIL (UTC)", "LANE"]);
    for lane in &found {
        let conversation = lane.conversation_id.as_deref().map_or_else(|| "-".to_owned(), plain);
        let until = lane.paused_until.map(minute).unwrap_or_default();
        table.row(
            [conversation, until, shown(lane)],
            lane.pause_reason.as_deref().map(plain).unwrap_or_default(),
        );
    }
    table.lines(screen::columns()).into_iter().try_for_each(say)
}

async fn pause_lanes(pool: &PgPool, arguments: &PauseArguments, pause: Duration) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    let until = arguments.until.or_else(|| now.checked_add(arguments.span?)).unwrap_or(now);
    if until <= now {
        bail!("the pause would end before it begins, at {}: give a time to come", instant(until));
    }
    if until > now + LONGEST {
        bail!("the pause would last more than a year: give less, or take the rules out of buzon.toml");
    }
    let lanes = meant(pool, &arguments.id, pause).await?;
    let why = match &arguments.reason {
        Some(reason) => format!("paused by hand at {} UTC: {reason}", minute(now)),
        None => format!("paused by hand at {} UTC", minute(now)),
    };
    lanes::pause(pool, &ids(&lanes), until, &why).await?;
    for lane in &lanes {
        say(format!("{}: no automatic reply before {}", masked_lane(&lane.id), instant(until)))?;
        // A takeover that lasts longer is not shortened.
        if let Some(longer) = lane.paused_until.filter(|other| *other > until) {
            let why = lane.pause_reason.as_deref().map(plain).unwrap_or_default();
            say(format!("  it was paused until {} before: {why}", instant(longer)))?;
        }
    }
    Ok(())
}

async fn resume(pool: &PgPool, arguments: &ResumeArguments, pause: Duration) -> anyhow::Result<()> {
    let lanes = meant(pool, &arguments.id, pause).await?;
    let why = format!("resumed by hand at {} UTC", minute(OffsetDateTime::now_utc()));
    lanes::resume(pool, &ids(&lanes), &why).await?;
    for lane in &lanes {
        let was = match (lane.paused_until, &lane.pause_reason) {
            (Some(until), Some(why)) => format!("it was paused until {}: {}", instant(until), plain(why)),
            _ => "it was not paused".to_owned(),
        };
        say(format!("{}: replies go on; {was}", masked_lane(&lane.id)))?;
    }
    Ok(())
}

fn ids(lanes: &[Lane]) -> Vec<String> {
    lanes.iter().map(|lane| lane.id.clone()).collect()
}

/// The lanes that an id means; all of them are one person's at one of our numbers.
async fn meant(pool: &PgPool, id: &str, pause: Duration) -> anyhow::Result<Vec<Lane>> {
    match lanes::named(pool, id, pause).await? {
        Named::Lanes(lanes) => Ok(lanes),
        Named::Nothing => bail!(
            "nobody has written to us under \"{}\": give a conversation's id, a number with its country code, \
             a BSUID or a lane's id (`worker effects list --show-text --json` has them)",
            plain(id)
        ),
        Named::Several(lanes) => {
            let lanes: Vec<String> = lanes.iter().map(|lane| plain(&lane.id)).collect();
            bail!("\"{}\" writes to several of our numbers: give one of {}", plain(id), lanes.join(", "))
        }
    }
}
