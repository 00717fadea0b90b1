//! A person takes over a conversation, and its automatic replies pause.

mod handoff;
mod order;
mod ours;
mod people;
mod sessions;

use anyhow::{Result, ensure};
use kapso_sim::{Dialect, SentIds, SimConfig, Statuses};

use crate::scene::{Road, kapso};

/// Which of Kapso's APIs the worker is pointed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Conversation,
    MetaProxy,
}

/// Each dialect with an API that can answer it.
const ROADS: [(Dialect, Api); 4] = [
    (Dialect::Guide, Api::Conversation),
    (Dialect::V1, Api::Conversation),
    (Dialect::V2, Api::MetaProxy),
    (Dialect::Meta, Api::MetaProxy),
];

/// A road on which Kapso tells what becomes of replies, soon.
async fn road_in(dialect: Dialect, api: Api) -> Result<Road> {
    let mut road = Road::beside(SimConfig { dialect, statuses: Statuses::default(), ..kapso() }).await?;
    if api == Api::MetaProxy {
        road.stage.set("KAPSO_API_BASE_URL", road.sim.meta_proxy_url());
    }
    Ok(road)
}

impl Road {
    async fn is_answered(&self, ids: &SentIds) -> Result<()> {
        self.reply_becomes(ids, "done").await.map(drop)
    }

    /// Sees that a message is not answered because of a person, and how that is told.
    async fn is_left_to_a_person(&self, ids: &SentIds, why: &str) -> Result<()> {
        let outcome = self.reply_becomes(ids, "discarded").await?.outcome.unwrap_or_default();
        ensure!(
            outcome.starts_with("a person has taken over the conversation, until 20")
                && outcome.ends_with(&format!(" UTC: {why}")),
            "{outcome}"
        );
        ensure!(self.sends_to(ids) == 0, "it was sent all the same");
        Ok(())
    }

    fn sends_to(&self, ids: &SentIds) -> usize {
        let sends = self.sim.accepted_sends();
        sends.iter().filter(|send| send.conversation_id == ids.conversation_id).count()
    }

    /// All takeovers of all lanes.
    async fn takeovers(&self) -> Result<Vec<String>> {
        self.texts(
            "SELECT lanes.id || ' ' || found.by || ' ' || found.evidence
             FROM lanes, LATERAL takeovers(lanes.id, '-infinity') found ORDER BY 1",
        )
        .await
    }

    /// Lets so many minutes pass, as far as the database can tell.
    async fn minutes_pass(&self, minutes: i32) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        for statement in [
            "UPDATE messages SET occurred_at = occurred_at - make_interval(mins => $1),
                sent_at = sent_at - make_interval(mins => $1)",
            "UPDATE effects SET created_at = created_at - make_interval(mins => $1),
                settled_at = settled_at - make_interval(mins => $1)",
            "UPDATE effect_attempts SET started_at = started_at - make_interval(mins => $1),
                finished_at = finished_at - make_interval(mins => $1)",
            "UPDATE subject_events SET occurred_at = occurred_at - make_interval(mins => $1)",
        ] {
            sqlx::query(statement).bind(minutes).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
