//! What comes first does not matter, nor that a person turns out to be two contacts.

use anyhow::{Result, ensure};
use kapso_sim::story::{Contact, Event, Fact};
use kapso_sim::{Dialect, InboundMessage, PersonsMessage, SimConfig};
use serde_json::json;

use super::{Api, road_in};
use crate::scene::{Road, kapso, number};

const ON_THE_PHONE: &str = "somebody wrote in the phone's app";

#[tokio::test]
async fn the_echo_may_come_before_anything_is_known_of_the_contact() -> Result<()> {
    for (dialect, api) in
        [(Dialect::V1, Api::Conversation), (Dialect::V2, Api::MetaProxy), (Dialect::Meta, Api::MetaProxy)]
    {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        road.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Le habla Marta"));
        road.nothing_lost().await?;
        ensure!(road.count("SELECT count(*) FROM lanes").await? == 0, "{dialect}: nothing is owed yet");
        road.is_left_to_a_person(&road.asks(1), ON_THE_PHONE).await?;
    }
    Ok(())
}

/// The worker was away: it finds the question and the person's answer to it at once.
#[tokio::test]
async fn what_a_person_has_answered_meanwhile_is_not_answered_again() -> Result<()> {
    let road = Road::beside(SimConfig { dialect: Dialect::V1, ..kapso() }).await?;
    let _ingest = road.stage.ingest().await?;
    let asked = road.asks(1);
    road.all_answered().await?;
    road.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Le habla Marta"));
    road.all_answered().await?;
    let _worker = road.stage.worker().await?;
    road.is_left_to_a_person(&asked, ON_THE_PHONE).await
}

/// Known by a business-scoped id, paused, and then known by a number too, under which something is owed already.
#[tokio::test]
async fn a_pause_stays_with_a_person_who_was_two_contacts() -> Result<()> {
    let road = road_in(Dialect::V2, Api::MetaProxy).await?;
    let _programs = road.open().await?;
    let hidden = |text: &str| InboundMessage {
        from: None,
        bsuid: Some("CL.77".to_owned()),
        ..InboundMessage::text("", text)
    };
    road.is_answered(&road.asks(1)).await?;
    let before = road.sim.inbound(hidden("Necesito ayuda"));
    road.is_answered(&before).await?;
    let echo = json!({
        "message": {
            "id": "wamid.ECHO", "timestamp": kapso_sim::now().unix_timestamp().to_string(), "type": "text",
            "to_user_id": "CL.77", "text": { "body": "Le habla Marta" },
            "kapso": { "direction": "outbound", "status": "sent", "origin": "business_app" },
        },
        "phone_number_id": road.sim.line().phone_number_id,
    });
    road.sim.send_webhook("whatsapp.message.sent", echo.to_string());
    road.nothing_lost().await?;
    road.is_answered(&road.asks(1)).await?;
    let contact = Contact { bsuid: Some("CL.77".to_owned()), ..Contact::with_number(&number(1)) };
    road.sim.tell(&Event { at: kapso_sim::now(), fact: Fact::ContactUpdated(contact, None) });
    road.nothing_lost().await?;
    ensure!(road.count("SELECT count(*) FROM lanes").await? == 1, "they are one");
    let outcome = road.reply_becomes(&road.asks(1), "discarded").await?.outcome.unwrap_or_default();
    ensure!(outcome.ends_with(ON_THE_PHONE), "{outcome}");
    let outcome = road
        .reply_becomes(&road.sim.inbound(hidden("ayuda")), "discarded")
        .await?
        .outcome
        .unwrap_or_default();
    ensure!(outcome.ends_with(ON_THE_PHONE), "{outcome}");
    Ok(())
}

/// What people decided by hand about either of the two holds for the one that they turn out to be.
#[tokio::test]
async fn a_pause_by_hand_stays_too() -> Result<()> {
    let road = road_in(Dialect::V2, Api::MetaProxy).await?;
    let _programs = road.open().await?;
    let hidden = |text: &str| InboundMessage {
        from: None,
        bsuid: Some("CL.78".to_owned()),
        ..InboundMessage::text("", text)
    };
    road.is_answered(&road.asks(1)).await?;
    road.is_answered(&road.sim.inbound(hidden("ayuda"))).await?;
    let decided =
        "UPDATE lanes SET paused_until = CASE WHEN contact_id = 'CL.78' THEN now() + interval '1 hour' END,
        pause_reason = CASE WHEN contact_id = 'CL.78' THEN 'by Marta' ELSE 'by Luis' END,
        resumed_at = CASE WHEN contact_id <> 'CL.78' THEN now() END";
    sqlx::query(decided).execute(&road.pool).await?;
    let contact = Contact { bsuid: Some("CL.78".to_owned()), ..Contact::with_number(&number(1)) };
    road.sim.tell(&Event { at: kapso_sim::now(), fact: Fact::ContactUpdated(contact, None) });
    road.nothing_lost().await?;
    let lane = road.row("SELECT pause_reason, resumed_at IS NOT NULL AS resumed FROM lanes").await?;
    ensure!(lane == json!({ "pause_reason": "by Marta", "resumed": true }), "{lane}");
    let outcome = road.reply_becomes(&road.asks(1), "discarded").await?.outcome.unwrap_or_default();
    ensure!(outcome.ends_with("UTC: by Marta"), "{outcome}");
    Ok(())
}
