//! Who waits for whom: locks are taken in one order, so that two never wait for each other.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::story::{Contact, Event, Fact};
use kapso_sim::{Dialect, InboundMessage, SimConfig};
use serde_json::Value;
use time::OffsetDateTime;

use crate::scene::{PATIENCE, Road, kapso, number};

/// A person whose number the business does not see.
const BSUID: &str = "CL.13491208655302741918";

/// Whoever records how a reply ended waits for the messages that a webhook has just written.
#[tokio::test]
async fn a_message_that_is_told_again_does_not_wait_for_whoever_changes_its_effects() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    road.each_answered_once(&[road.asks(0)]).await?;
    let mut recorder = road.pool.begin().await?;
    sqlx::query("UPDATE effects SET outcome = outcome").execute(&mut *recorder).await?;
    let body: Value = serde_json::from_slice(&road.sim.deliveries()[0].body)?;
    road.sim.send_webhook("message.received", serde_json::to_vec_pretty(&body)?);
    wait::until("the other webhook to be projected", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL").await? == 2)
    })
    .await?;
    Ok(recorder.rollback().await?)
}

/// A dispatcher has locked a lane, and leases from it, while its contact turns out to be another.
#[tokio::test]
async fn a_merge_holds_no_effect_while_it_waits_for_a_lane() -> Result<()> {
    let road = Road::beside(SimConfig { dialect: Dialect::V2, ..kapso() }).await?;
    let [_ingest, worker] = road.open().await?;
    let ask = InboundMessage::text(number(0), "Necesito ayuda");
    let asked = [
        road.sim.inbound(InboundMessage { from: None, bsuid: Some(BSUID.to_owned()), ..ask.clone() }),
        road.sim.inbound(ask),
    ];
    for ids in &asked {
        road.effect_becomes(&ids.wamid, "send_text", "done").await?;
    }
    let mut dispatcher = road.pool.begin().await?;
    let lane: String = sqlx::query_scalar("SELECT id FROM lanes WHERE contact_id = $1 FOR UPDATE")
        .bind(BSUID)
        .fetch_one(&mut *dispatcher)
        .await?;
    let one = Contact { bsuid: Some(BSUID.to_owned()), ..Contact::with_number(&number(0)) };
    road.sim.tell(&Event { at: OffsetDateTime::now_utc(), fact: Fact::ContactUpdated(one, None) });
    wait::until("the merge to wait", PATIENCE, async || -> Result<bool> {
        let waiting = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        Ok(road.count(waiting).await? == 1)
    })
    .await?;
    let leased = sqlx::query("UPDATE effects SET outcome = outcome WHERE lane = $1")
        .bind(&lane)
        .execute(&mut *dispatcher)
        .await?;
    ensure!(leased.rows_affected() == 2, "{leased:?}");
    dispatcher.commit().await?;
    wait::until("the two to be one", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM contacts").await? == 1)
    })
    .await?;
    // Where both wait, Postgres ends one of them.
    ensure!(!worker.log().contains("deadlock"), "{}", worker.log());
    Ok(())
}
