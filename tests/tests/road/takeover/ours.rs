//! Our own replies are nobody's takeover, however slowly it becomes known that they are ours.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, Fault, Outcome, PersonsMessage, SimConfig, Statuses};

use super::{Api, ROADS, road_in};
use crate::scene::{PATIENCE, Road, kapso, number};

impl Road {
    async fn outbound(&self, count: i64) -> Result<()> {
        wait::until("our reply's webhook", PATIENCE, async || {
            let found = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND sent_at IS NOT NULL";
            ensure!(self.count(found).await? == count, "{:?}", self.rows("SELECT * FROM messages").await?);
            Ok(true)
        })
        .await
    }
}

/// Also where the API names a reply in one way, and the webhooks about it in another.
#[tokio::test]
async fn they_are_told_by_every_dialect_and_pause_nothing() -> Result<()> {
    let unlinked =
        [(Dialect::Guide, Api::MetaProxy), (Dialect::V2, Api::Conversation), (Dialect::V1, Api::MetaProxy)];
    for (dialect, api) in ROADS.into_iter().chain(unlinked) {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        let first = road.asks(1);
        for times in 1..=3 {
            road.is_answered(&if times == 1 { first.clone() } else { road.asks(1) }).await?;
            ensure!(road.sim.idle(PATIENCE).await, "statuses are on their way");
            road.nothing_lost().await?;
            road.minutes_pass(2).await?;
            let takeovers = road.takeovers().await?;
            ensure!(takeovers.is_empty(), "{dialect} {api:?}: {takeovers:?}");
            ensure!(road.sends_to(&first) == times, "{dialect} {api:?}");
        }
    }
    Ok(())
}

/// Kapso has taken the reply and told of it; its answer is still on the way.
#[tokio::test]
async fn a_reply_whose_answer_is_on_its_way_is_ours() -> Result<()> {
    let statuses = Statuses { sent: Some(Duration::ZERO), ..Statuses::NONE };
    let road = Road::beside(SimConfig { dialect: Dialect::V1, statuses, ..kapso() }).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_send(Outcome::Delay(Duration::from_secs(6))));
    let ids = road.asks(1);
    road.outbound(1).await?;
    ensure!(road.reply_to(&ids).await?.state == "pending", "its answer is here already");
    road.minutes_pass(2).await?;
    let takeovers = road.takeovers().await?;
    ensure!(road.reply_to(&ids).await?.state == "pending", "its answer is here already");
    ensure!(takeovers.is_empty(), "{takeovers:?}");
    let next = road.asks(1);
    road.is_answered(&ids).await?;
    road.is_answered(&next).await
}

/// Nobody saw the end of it. While it may be some message, nobody else has written that; its text is another, so that
/// nothing settles the reply meanwhile.
#[tokio::test]
async fn a_reply_that_nobody_saw_the_end_of_may_be_ours() -> Result<()> {
    let road = Road::beside(SimConfig { dialect: Dialect::V1, ..kapso() }).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_send(Outcome::Cut));
    let ids = road.asks(1);
    road.reply_becomes(&ids, "unknown").await?;
    let in_the_inbox = PersonsMessage::on_the_phone(number(1), "Le habla Marta");
    road.sim.person_writes(PersonsMessage { on_the_phone: false, ..in_the_inbox });
    road.outbound(1).await?;
    road.minutes_pass(3).await?;
    let takeovers = road.takeovers().await?;
    ensure!(road.reply_to(&ids).await?.state == "unknown", "somebody saw the end of it");
    ensure!(takeovers.is_empty(), "{takeovers:?}");
    Ok(())
}
