//! Conservation, by id: what was answered 200 is in Postgres once, and what it asked was answered once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::wait;
use serde_json::Value;

use crate::book::{Accepted, Book};
use crate::compose::Compose;

/// Whatever is under way has happened by then; a reply in doubt is settled after a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many ids a complaint names.
const NAMED: usize = 5;

/// Asks both sides.
pub(crate) struct Judge<'a> {
    pub(crate) compose: &'a Compose,
    pub(crate) sim: String,
    pub(crate) client: reqwest::Client,
}

/// How often a reply went into each conversation.
pub(crate) type Replies = HashMap<String, u64>;

impl Judge<'_> {
    /// Rows of a query, a line each, fields separated by `|`.
    pub(crate) async fn rows(&self, query: &str) -> Result<Vec<String>> {
        let psql = ["psql", "-h", "127.0.0.1", "-U", "buzon", "-d", "buzon", "-XAtq", "-F", "|", "-c", query];
        let said = self.compose.inside("postgres", &psql).await?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// What the simulator has taken.
    pub(crate) async fn replies(&self) -> Result<Replies> {
        let answer = self.client.get(format!("{}/sim/replies", self.sim)).send().await?;
        let list: Value = answer.error_for_status()?.json().await?;
        let mut replies = Replies::new();
        for reply in list["data"].as_array().context("a list of replies")? {
            *replies.entry(reply["conversation_id"].as_str().unwrap_or_default().to_owned()).or_default() +=
                1;
        }
        Ok(replies)
    }

    /// Waits until everything that was answered 200 is projected, and every reply owed has been sent; then looks
    /// for what happened twice. `before` is what an earlier simulator had taken.
    pub(crate) async fn settle(&self, book: &Book, before: &Replies) -> Result<String> {
        let accepted = book.pages().accepted.clone();
        wait::until("everything to be where it belongs", PATIENCE, async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let missing = self.missing(&accepted, before).await?;
            ensure!(missing.is_empty(), "{}", missing.join("; "));
            Ok(true)
        })
        .await?;
        let twice = self.twice(before).await?;
        ensure!(twice.is_empty(), "{}", twice.join("; "));
        let asked = accepted.values().filter(|it| it.asks_in.is_some()).count();
        Ok(format!(
            "{} webhooks answered 200, each in Postgres once; {asked} questions, each answered once",
            accepted.len()
        ))
    }

    async fn missing(&self, accepted: &BTreeMap<u64, Accepted>, before: &Replies) -> Result<Vec<String>> {
        let projected = "SELECT encode(id, 'hex') FROM webhooks WHERE projected_at IS NOT NULL";
        let archive: HashSet<String> = self.rows(projected).await?.into_iter().collect();
        let messages = self.rows("SELECT id FROM messages WHERE direction = 'inbound'").await?;
        let messages: HashSet<String> = messages.into_iter().collect();
        let replies = self.replies().await?;
        let mut wrong = Vec::new();
        let mut tell = |what: &str, which: Vec<String>| {
            if !which.is_empty() {
                let named = which.get(..NAMED).unwrap_or(&which).join(", ");
                wrong.push(format!("{what}: {} ({named})", which.len()));
            }
        };
        let all = || accepted.iter();
        let lost = all().filter(|(_, it)| !archive.contains(&it.id.to_string()));
        tell(
            "answered 200, and not projected in the archive",
            lost.map(|(nth, it)| format!("{nth} {}", it.id)).collect(),
        );
        let lost = all().filter(|(_, it)| !messages.contains(&it.message));
        tell("without a row of messages", lost.map(|(_, it)| it.message.clone()).collect());
        let asked = all().filter_map(|(_, it)| it.asks_in.clone());
        let unanswered = asked.filter(|place| !replies.contains_key(place) && !before.contains_key(place));
        tell("questions without a reply", unanswered.collect());
        tell(
            "not settled",
            self.rows(
                "SELECT message_id || ' ' || state FROM effects
             WHERE kind = 'send_text' AND state <> 'done' ORDER BY id",
            )
            .await?,
        );
        Ok(wrong)
    }

    async fn twice(&self, before: &Replies) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let rows = "SELECT encode(id, 'hex') FROM webhooks GROUP BY id HAVING count(*) > 1";
        wrong.extend(self.rows(rows).await?.into_iter().map(|id| format!("archived twice: {id}")));
        let rows = "SELECT encode(webhook_id, 'hex') || ' ' || reason FROM dead_letters";
        wrong.extend(self.rows(rows).await?.into_iter().map(|row| format!("a dead letter: {row}")));
        let mut replies = before.clone();
        for (place, times) in self.replies().await? {
            *replies.entry(place).or_default() += times;
        }
        let twice = replies.into_iter().filter(|(_, times)| *times > 1);
        wrong.extend(twice.map(|(place, times)| format!("{times} replies into {place}")));
        Ok(wrong)
    }
}
