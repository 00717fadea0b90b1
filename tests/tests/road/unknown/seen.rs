//! A message with our text is in the lane: by a webhook, or in a listing, at once or late.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, Fault, Outcome, RawWebhook, Reply, SentIds, SimConfig, Statuses};
use serde_json::json;

use super::scene::{LISTED_TWICE, STYLES, Style};
use crate::scene::{A_WHILE, PATIENCE, Road, holds, kapso, number};

/// The text by the webhook of its status: the conversation API echoes nothing.
#[tokio::test]
async fn its_text_by_webhook_settles_a_reply_and_nothing_is_listed() -> Result<()> {
    for dialect in [Dialect::V1, Dialect::V2] {
        let road = Road::of(Style::Conversation, dialect, Statuses::default()).await?;
        let _programs = road.open().await?;
        let ids = road.asks_in_vain(0, Outcome::AcceptThenAnswer(Reply::cloudflare(504)));
        let effect = road.went_out(&ids, "a message with its text").await?;
        assert_eq!((effect.attempts, road.sent().len(), road.listings().len()), (1, 1, 0), "{dialect:?}");
        assert_eq!(road.sent_message_ids().await?, [(effect.id, Some(road.sent()[0].wamid.clone()))]);
        road.one_message_each().await?;
    }
    Ok(())
}

#[tokio::test]
async fn its_text_in_a_listing_settles_a_reply() -> Result<()> {
    for (style, dialect) in [
        (Style::Conversation, Dialect::Guide),
        (Style::Conversation, Dialect::V2),
        (Style::Proxy, Dialect::V2),
        (Style::Proxy, Dialect::Meta),
    ] {
        let road = Road::of(style, dialect, Statuses::NONE).await?;
        let _programs = road.open().await?;
        let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
        road.reply_becomes(&ids, "unknown").await?;
        // Another lane of the number, whose reply goes out as it should, with the same text.
        let other = road.asks(1);
        road.reply_becomes(&other, "done").await?;
        let effect = road.went_out(&ids, "a message with its text").await?;
        assert_eq!((effect.attempts, road.sent().len(), road.listings().len()), (1, 2, 1), "{style:?}");
        road.one_message_each().await?;
        let asked = road.row("SELECT http_status, outcome FROM effect_listings").await?;
        ensure!(asked["http_status"] == 200, "{asked}");
    }
    Ok(())
}

/// The guide's webhook of the reply comes, and does not say what it says: only a listing does.
#[tokio::test]
async fn a_webhook_without_its_text_does_not_hide_it_in_the_listing() -> Result<()> {
    // Nothing else about it is in the listing that the webhook has not told.
    let statuses = Statuses { sent: Some(Duration::from_millis(200)), ..Statuses::NONE };
    let road = Road::of(Style::Conversation, Dialect::Guide, statuses).await?;
    let _programs = road.open().await?;
    let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
    road.reply_becomes(&ids, "unknown").await?;
    let textless = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND body IS NULL";
    wait::until("the webhook", PATIENCE, async || -> Result<bool> { Ok(road.count(textless).await? == 1) })
        .await?;
    let effect = road.went_out(&ids, "a message with its text").await?;
    assert_eq!((effect.attempts, road.sent().len(), road.count(textless).await?), (1, 1, 0));
    road.one_message_each().await
}

/// Numbers are written in several ways: the listing of a conversation has another one than its webhooks had. The
/// webhook of the reply does not say what it says, so that nothing else tells.
#[tokio::test]
async fn a_conversation_is_the_same_under_another_number() -> Result<()> {
    let statuses = Statuses { sent: Some(Duration::from_millis(200)), ..Statuses::NONE };
    let kapso = SimConfig { dialect: Dialect::Guide, statuses, lenient: true, ..kapso() };
    let road = Road::called_by(Style::Conversation, kapso).await?;
    let _programs = road.open().await?;
    // Kapso makes up the number of a conversation that it has not seen.
    let ids = SentIds {
        message_id: "wamid.BY-HAND".to_owned(),
        wamid: "wamid.BY-HAND".to_owned(),
        conversation_id: "c0ffee00-0000-4000-8000-000000000001".to_owned(),
    };
    let body = json!({
        "event_type": "message.received",
        "conversation_id": ids.conversation_id,
        "message_id": ids.message_id,
        "payload": { "from": number(0), "content": "Necesito ayuda", "message_type": "text" },
    });
    road.sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    road.sim.send_raw(RawWebhook::new("message.received", body.to_string()));
    let effect = road.went_out(&ids, "a message with its text").await?;
    let sent = road.sent();
    assert_eq!((effect.attempts, sent.len(), &sent[0].conversation_id), (1, 1, &ids.conversation_id));
    assert_ne!(sent[0].to.as_deref(), Some(number(0).trim_start_matches('+')), "another number");
    road.one_message_each().await
}

/// One listing of the proxy tells of many lanes; the conversation API is asked for each.
#[tokio::test]
async fn one_listing_of_a_number_settles_many_lanes() -> Result<()> {
    let road = Road::of(Style::Proxy, Dialect::V2, Statuses::NONE).await?;
    let _programs = road.open().await?;
    let _second = road.stage.worker().await?;
    let asked: Vec<_> = (0..12).map(|contact| road.asks_in_vain(contact, Outcome::AcceptThenCut)).collect();
    for ids in &asked {
        road.went_out(ids, "a message with its text").await?;
    }
    assert_eq!(road.sent().len(), asked.len());
    ensure!(road.listings().len() * 2 <= asked.len(), "{} listings", road.listings().len());
    road.one_message_each().await
}

/// It is in none of the first listings, and comes into them in time.
#[tokio::test]
async fn what_is_listed_late_is_not_sent_again() -> Result<()> {
    for style in STYLES {
        let mut road = Road::of(style, Dialect::V2, Statuses::NONE).await?;
        road.stage.set("BUZON_UNKNOWN_SETTLE_SECONDS", "8");
        let _programs = road.open().await?;
        road.sim.list_late(Duration::from_secs(15));
        let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
        let effect = road.went_out(&ids, "a message with its text").await?;
        assert_eq!((effect.attempts, road.sent().len(), road.listings().len()), (1, 1, 2), "{style:?}");
    }
    Ok(())
}

/// A listing that failed proves nothing, however often it does.
#[tokio::test]
async fn listings_that_fail_prove_nothing() -> Result<()> {
    for style in STYLES {
        let road = Road::of(style, Dialect::V2, Statuses::NONE).await?;
        let _programs = road.open().await?;
        road.lists_nothing();
        let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
        road.listed(2).await?;
        holds("unknown", LISTED_TWICE, async || {
            let reply = road.reply_to(&ids).await?;
            Ok(reply.state == "unknown" && reply.attempts == 1)
        })
        .await?;
        let later = road.asks(0);
        holds("what comes later waits", A_WHILE, async || Ok(road.sent().len() == 1)).await?;
        road.sim.clear_faults();
        road.went_out(&ids, "a message with its text").await?;
        road.reply_becomes(&later, "done").await?;
        assert_eq!(road.sent().len(), 2, "{style:?}");
    }
    Ok(())
}
