//! A workflow, or an agent of the older sort, hands a conversation over to a person.

use anyhow::{Result, ensure};
use kapso_sim::{Dialect, InboundMessage, RawWebhook, SimConfig};
use serde_json::{Value, json};

use super::{ROADS, road_in};
use crate::scene::{Road, kapso, number};

const HANDED_OVER: &str = "a workflow handed over to a person";

fn asks_in(road: &Road, conversation: &str) -> kapso_sim::SentIds {
    road.sim.inbound(InboundMessage {
        conversation_id: Some(conversation.to_owned()),
        ..InboundMessage::text(number(1), "Necesito ayuda")
    })
}

#[tokio::test]
async fn whom_a_workflow_hands_over_nobody_answers() -> Result<()> {
    // Meta's events name no conversation, and what is told of one can't be led to a person.
    for (dialect, api) in ROADS.into_iter().filter(|(dialect, _)| *dialect != Dialect::Meta) {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        let before = road.asks(1);
        road.is_answered(&before).await?;
        road.sim.hand_off(&before.conversation_id);
        road.nothing_lost().await?;
        let outcome = road.reply_becomes(&road.asks(1), "discarded").await?.outcome.unwrap_or_default();
        ensure!(outcome.ends_with(HANDED_OVER), "{dialect}: {outcome}");
        // The lane is the person's: another conversation of theirs is handed over too.
        road.sim.end_conversation(&before.conversation_id);
        road.is_left_to_a_person(&road.asks(1), HANDED_OVER).await?;
        road.is_answered(&road.asks(2)).await?;
    }
    Ok(())
}

/// The conversation is known only when its first message comes; another one of that contact is paused with it.
#[tokio::test]
async fn the_conversation_may_become_known_later() -> Result<()> {
    for (dialect, api) in ROADS.into_iter().filter(|(dialect, _)| *dialect != Dialect::Meta) {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        road.sim.hand_off("conversation-to-come");
        road.nothing_lost().await?;
        road.is_left_to_a_person(&asks_in(&road, "conversation-to-come"), HANDED_OVER).await?;
        road.is_left_to_a_person(&asks_in(&road, "another-one"), HANDED_OVER).await?;
    }
    Ok(())
}

#[tokio::test]
async fn agents_of_the_older_sort_hand_over_too() -> Result<()> {
    let road = Road::beside(SimConfig { dialect: Dialect::V1, ..kapso() }).await?;
    let _programs = road.open().await?;
    let bodies = |conversation: &str| -> [Value; 3] {
        let event = "agent_execution_handoff";
        [
            json!({ "event": event, "agent_execution": { "id": "e-1", "whatsapp_conversation_id": conversation } }),
            json!({ "event": event, "agent_execution_id": "e-2", "conversation_id": conversation }),
            json!({ "event": event, "conversation": { "id": conversation } }),
        ]
    };
    for (nth, body) in bodies("-").iter().enumerate() {
        let conversation = format!("conversation-{nth}");
        let body = body.to_string().replace("\"-\"", &format!("\"{conversation}\""));
        let webhook = RawWebhook::new("agent_execution_handoff", body);
        road.sim.send_raw(RawWebhook { dialect: Some(Dialect::V2), ..webhook });
        road.nothing_lost().await?;
        let ids = road.sim.inbound(InboundMessage {
            conversation_id: Some(conversation),
            ..InboundMessage::text(number(10 + nth), "Necesito ayuda")
        });
        road.is_left_to_a_person(&ids, HANDED_OVER).await?;
    }
    Ok(())
}
