//! The worker is killed in between.

use anyhow::Result;
use harness::wait;
use kapso_sim::{Dialect, Outcome, Statuses};
use std::time::Duration;

use super::scene::Style;
use crate::scene::{A_WHILE, PATIENCE, Road, holds};

/// After this a lease has run out, and what is under it is unknown.
const LEASE: Duration = Duration::from_secs(30);

/// Killed while the request is under way: whoever comes after finds the message in a listing.
#[tokio::test]
async fn a_kill_while_it_is_sent_costs_no_second_reply() -> Result<()> {
    let road = Road::of(Style::Conversation, Dialect::V2, Statuses::NONE).await?;
    let [_ingest, mut worker] = road.open().await?;
    let ids = road.asks_in_vain(0, Outcome::AcceptThenHang(Duration::from_secs(3600)));
    wait::until("the send", PATIENCE, async || road.sent().len() == 1).await?;
    worker.kill();
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    tokio::time::sleep(LEASE).await;
    road.went_out(&ids, "a message with its text").await?;
    assert_eq!((road.sent().len(), road.listings().len()), (1, 1));
    Ok(())
}

/// Killed between the two listings: what the first showed is remembered, and it is sent again once.
#[tokio::test]
async fn a_kill_between_the_listings_costs_no_second_reply() -> Result<()> {
    let road = Road::of(Style::Proxy, Dialect::V2, Statuses::NONE).await?;
    let [_ingest, mut worker] = road.open().await?;
    let ids = road.asks_in_vain(0, Outcome::Cut);
    wait::until("the first listing to be noted", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM effect_doubts WHERE absent_at IS NOT NULL").await? == 1)
    })
    .await?;
    worker.kill();
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let effect = road.reply_becomes(&ids, "done").await?;
    assert_eq!((effect.attempts, road.sent().len(), road.listings().len()), (2, 1, 2));
    holds("one reply", A_WHILE, async || Ok(road.sent().len() == 1)).await
}

/// Killed while it asks: after a minute another one does.
#[tokio::test]
async fn a_kill_while_it_asks_is_made_up_for() -> Result<()> {
    let road = Road::of(Style::Proxy, Dialect::V2, Statuses::NONE).await?;
    let [_ingest, mut worker] = road.open().await?;
    road.sim.fault(kapso_sim::Fault::next_list(Outcome::Hang(Duration::from_secs(3600))));
    let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
    road.listed(1).await?;
    worker.kill();
    let _worker = road.stage.worker().await?;
    holds("nobody else asks", A_WHILE, async || Ok(road.listings().len() == 1)).await?;
    wait::until("another listing", Duration::from_secs(60) + PATIENCE, async || road.listings().len() == 2)
        .await?;
    road.went_out(&ids, "a message with its text").await?;
    assert_eq!(road.sent().len(), 1);
    Ok(())
}
