//! `worker effects`: what is owed, and what became of it, seen and decided by a person.

mod list;
mod settle;
mod show;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use contract::shown;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use time::Duration;

use super::{database, screen};
use crate::effects::by_hand::effects::Effect;

/// What to do with effects.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List them, newest first
    List(list::Arguments),
    /// Show one: its cause, its attempts, why it is in its state, and what happens next
    Show(show::Arguments),
    /// Have a running worker retry discarded or unknown effects
    Retry(settle::RetryArguments),
    /// Discard pending or unknown effects
    Discard(settle::DiscardArguments),
}

/// A state, as people type it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Done,
    Discarded,
    Unknown,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Discarded => "discarded",
            Self::Unknown => "unknown",
        }
    }
}

/// Does it. `pause`: how long a takeover lasts.
///
/// # Errors
/// When the database is away, or nothing can be said.
pub async fn run(command: Command, options: &PgConnectOptions, pause: Duration) -> anyhow::Result<ExitCode> {
    let pool = database::connect(options).await?;
    match command {
        Command::List(arguments) => list::run(&pool, arguments).await,
        Command::Show(arguments) => show::run(&pool, &arguments, pause).await,
        Command::Retry(arguments) => settle::retry(&pool, &arguments, pause).await,
        Command::Discard(arguments) => settle::discard(&pool, &arguments).await,
    }
}

/// An effect in JSON. The names are a promise to scripts.
#[derive(Serialize)]
struct Told {
    id: i64,
    kind: String,
    state: String,
    outcome: Option<String>,
    message_id: String,
    conversation_id: Option<String>,
    lane: String,
    recipient: Option<String>,
    body: Option<String>,
    rule: Option<String>,
    attempts: i32,
    created_at: String,
    next_at: String,
    expires_at: String,
    leased_until: Option<String>,
    settled_at: Option<String>,
    retried_at: Option<String>,
    sent_message_id: Option<String>,
    sent_status: Option<String>,
    sent_error: Option<String>,
}

impl Told {
    /// Words and numbers only where somebody asked for them.
    fn of(effect: &Effect, show_text: bool) -> Self {
        let open =
            |text: &str, masked: fn(&str) -> String| if show_text { text.to_owned() } else { masked(text) };
        Self {
            id: effect.id,
            kind: effect.kind.clone(),
            state: effect.state.clone(),
            outcome: effect.outcome.clone(),
            message_id: open(&effect.message_id, shown::id),
            conversation_id: effect.conversation_id.clone(),
            lane: open(&effect.lane, masked_lane),
            recipient: effect.recipient.as_deref().map(|recipient| open(recipient, masked_contact)),
            body: effect.body.as_deref().map(|body| open(body, shown::text)),
            rule: effect.rule.clone(),
            attempts: effect.attempts,
            created_at: screen::instant(effect.created_at),
            next_at: screen::instant(effect.next_at),
            expires_at: screen::instant(effect.expires_at),
            leased_until: effect.lease.map(screen::instant),
            settled_at: effect.settled_at.map(screen::instant),
            retried_at: effect.retried_at.map(screen::instant),
            sent_message_id: effect.sent_message_id.as_deref().map(|id| open(id, shown::id)),
            sent_status: effect.sent_status.clone(),
            sent_error: effect.failed_since(),
        }
    }
}

fn masked_contact(contact: &str) -> String {
    if contact.chars().all(|c| c.is_ascii_digit()) { shown::number(contact) } else { shown::id(contact) }
}

/// A lane's id without the contact's number: our own number, which it begins with, is no secret.
pub(super) fn masked_lane(lane: &str) -> String {
    match lane.split_once('/') {
        Some((ours, contact)) => format!("{}/{}", screen::plain(ours), masked_contact(contact)),
        None => shown::id(lane),
    }
}

/// What a person reads where an id is of nothing.
fn no_such(id: i64) -> String {
    format!("there is no effect {id}")
}

#[cfg(test)]
mod tests {
    use super::masked_lane;

    #[test]
    fn a_lane_is_shown_without_its_contacts_number() {
        assert_eq!(masked_lane("118800223344556/56911110001"), "118800223344556/…01");
        assert_eq!(masked_lane("conversation/conv-1"), "conversation/conv-1");
        assert_eq!(masked_lane("message/wamid.HBgL0123456789"), "message/wamid.…23456789");
    }
}
