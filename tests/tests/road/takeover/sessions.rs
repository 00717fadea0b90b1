//! Our number is not known, so that each conversation has a lane of its own: what is the person's stays the person's.

use std::fs;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, InboundMessage, SentIds};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Api, road_in};
use crate::scene::{PATIENCE, Road};

/// Two forms of one number.
const FORMS: [&str; 2] = ["5511987650071", "551187650071"];

impl Road {
    /// Somebody writes in a conversation of Kapso's.
    fn says_in(&self, conversation: &str, from: &str, text: &str) -> SentIds {
        let conversation_id = Some(conversation.to_owned());
        self.sim.inbound(InboundMessage { conversation_id, ..InboundMessage::text(from, text) })
    }
}

async fn road() -> Result<Road> {
    let mut road = road_in(Dialect::Guide, Api::Conversation).await?;
    road.stage.set("KAPSO_PHONE_NUMBER_ID", "");
    Ok(road)
}

#[tokio::test]
async fn a_pause_by_hand_follows_the_person_into_other_conversations() -> Result<()> {
    let road = road().await?;
    let _programs = road.open().await?;
    let [one, other] = FORMS;
    road.says_in("conv-a", one, "hola");
    road.says_in("conv-b", other, "hola");
    road.nothing_lost().await?;
    let until = OffsetDateTime::now_utc() + Duration::hours(1);
    let pause = "UPDATE lanes SET paused_until = $1 WHERE id = 'conversation/conv-a'";
    let paused = sqlx::query(pause).bind(until).execute(&road.pool).await?.rows_affected();
    ensure!(paused == 1, "{:?}", road.texts("SELECT id FROM lanes").await?);
    // Only now is it known that both are one person.
    let both = json!({
        "event_type": "contact.updated", "timestamp": kapso_sim::iso(OffsetDateTime::now_utc()),
        "payload": { "from": one, "contact": { "phone_number": other } },
    });
    ensure!(road.stage.post_signed(both.to_string()).await?.status() == 200);
    wait::until("both forms to be one contact", PATIENCE, async || {
        Ok(road.count("SELECT count(DISTINCT id) FROM contact_aliases").await? == 1)
    })
    .await?;
    road.is_left_to_a_person(&road.says_in("conv-b", other, "ayuda"), "by hand").await
}

#[tokio::test]
async fn the_loop_guard_counts_all_conversations_of_a_person() -> Result<()> {
    let mut road = road().await?;
    let rules = road.stage.dir().join("buzon.toml");
    let shipped = fs::read_to_string("../buzon.toml")?;
    fs::write(&rules, shipped.replace("per_minute = 5", "per_minute = 2"))?;
    road.stage.set("BUZON_CONFIG", rules.display().to_string());
    let _programs = road.open().await?;
    for conversation in ["conv-a", "conv-b"] {
        road.is_answered(&road.says_in(conversation, FORMS[0], "ayuda")).await?;
    }
    let third = road.reply_becomes(&road.says_in("conv-c", FORMS[0], "ayuda"), "discarded").await?;
    ensure!(third.outcome.as_deref().is_some_and(|why| why.starts_with("loop guard")), "{third:?}");
    Ok(())
}
