//! Which webhooks a replay is of, as typed.

use std::fmt::Write as _;

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{
    archive::selection::{self, IdPrefix, Selection},
    tools::{screen::instant, when::when},
};

/// Which webhooks. Conditions of different sorts all have to hold.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub(super) struct Selected {
    /// Webhooks with this id; its first digits are enough
    #[arg(long, group = "which", value_name = "WEBHOOK", value_parser = IdPrefix::read)]
    id: Vec<IdPrefix>,
    /// Webhooks of this kind, as the sender names it
    #[arg(long, group = "which")]
    kind: Vec<String>,
    /// Webhooks whose body names this conversation or one of its messages
    #[arg(long, group = "which")]
    conversation: Option<String>,
    /// Webhooks received at this time or later: 2h (ago), 2026-11-24 (from 00:00 UTC), 2026-11-24T17:00:00Z
    #[arg(long, group = "which", value_parser = when)]
    since: Option<OffsetDateTime>,
    /// Webhooks received before this time
    #[arg(long, group = "which", value_parser = when)]
    until: Option<OffsetDateTime>,
    /// All webhooks
    #[arg(long, group = "which", conflicts_with_all = ["id", "kind", "conversation", "since", "until"])]
    all: bool,
    /// Build the projections again from all webhooks and from the replies that we sent: in temporary tables, which then
    /// replace what differs in one transaction. Rows that they do not account for are removed
    #[arg(
        long, group = "which",
        conflicts_with_all = ["id", "kind", "conversation", "since", "until", "all"]
    )]
    pub(super) rebuild: bool,
}

impl Selected {
    /// As the archive is asked for it.
    ///
    /// # Errors
    /// When an id is of no webhook, or its digits are of several; when the database is away.
    pub(super) async fn read(&self, connection: &mut PgConnection) -> anyhow::Result<Selection> {
        let mut ids = Vec::new();
        for prefix in &self.id {
            let found = selection::beginning_with(connection, prefix).await?;
            ensure!(
                found.len() < 2,
                "several webhooks have an id that begins with {prefix}: give more of it"
            );
            let Some(id) = found.first() else { bail!("the archive has no webhook {prefix}") };
            ids.push(*id);
        }
        let names = match &self.conversation {
            Some(id) => Some(selection::names_of_conversation(connection, id).await?),
            None => None,
        };
        Ok(Selection {
            ids: (!ids.is_empty()).then_some(ids),
            kinds: (!self.kind.is_empty()).then(|| self.kind.clone()),
            names,
            since: self.since,
            until: self.until,
        })
    }

    /// The command that goes on from what was received at `at`. Those of that very moment come
    /// again, which changes nothing.
    pub(super) fn go_on(&self, at: OffsetDateTime, effects: bool) -> String {
        let mut command = "worker replay".to_owned();
        let mut add = |name: &str, value: &str| {
            let _ = write!(command, " --{name} {}", quoted(value));
        };
        self.id.iter().for_each(|prefix| add("id", &prefix.to_string()));
        self.kind.iter().for_each(|kind| add("kind", kind));
        self.conversation.iter().for_each(|id| add("conversation", id));
        add("since", &instant(at));
        self.until.iter().for_each(|until| add("until", &instant(*until)));
        if effects {
            command.push_str(" --effects");
        }
        command
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._:/+=@-".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use time::macros::datetime;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        selected: Selected,
    }

    fn read(line: &str) -> Option<Selected> {
        Line::try_parse_from(line.split_whitespace()).ok().map(|line| line.selected)
    }

    #[test]
    fn something_has_to_be_chosen() {
        assert!(read("replay").is_none());
        for line in
            ["--all", "--rebuild", "--id 3fa", "--since 2h --until 1h --kind a --kind b", "--conversation c"]
        {
            assert!(read(&format!("replay {line}")).is_some(), "{line}");
        }
        for line in ["--all --since 2h", "--rebuild --kind a", "--id xyz", "--since yesterday"] {
            assert!(read(&format!("replay {line}")).is_none(), "{line}");
        }
    }

    #[test]
    fn the_command_that_goes_on_says_the_same_of_what_is_left() {
        let at = datetime!(2026-11-24 17:00:00.123 UTC);
        let command = |line: &str| read(line).map(|selected| selected.go_on(at, false));
        assert_eq!(
            command("replay --all").as_deref(),
            Some("worker replay --since 2026-11-24T17:00:00.123Z")
        );
        assert_eq!(
            command("replay --since 2026-11-01 --until 2026-11-30 --kind it's --id 3Fa").as_deref(),
            Some(
                "worker replay --id 3fa --kind 'it'\\''s' --since 2026-11-24T17:00:00.123Z \
                 --until 2026-11-30T00:00:00Z"
            )
        );
    }
}
