//! A message is one reply's, and a reply is one message's.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, Outcome, Reply, Statuses};
use serde_json::json;

use super::scene::{STYLES, Style};
use crate::scene::{PATIENCE, Road};

/// Two replies with the same text in one lane, both in doubt; the first waits for nothing but its own message.
#[tokio::test]
async fn two_equal_texts_in_one_lane_are_one_message_each() -> Result<()> {
    for style in STYLES {
        let road = Road::of(style, Dialect::V2, Statuses::NONE).await?;
        let _programs = road.open().await?;
        let first = road.asks_in_vain(0, Outcome::AcceptThenCut);
        road.reply_becomes(&first, "unknown").await?;
        let second = road.asks_in_vain(0, Outcome::AcceptThenCut);
        let effects = [
            road.went_out(&first, "a message with its text").await?.id,
            road.went_out(&second, "a message with its text").await?.id,
        ];
        let sent: Vec<_> = road.sent().into_iter().map(|send| Some(send.wamid)).collect();
        ensure!(sent.len() == 2, "{sent:?}");
        let expected: Vec<_> = effects.into_iter().zip(sent).collect();
        assert_eq!(road.sent_message_ids().await?, expected, "{style:?}");
    }
    Ok(())
}

/// The first went out and the second did not: the first one's message does not stand for both.
#[tokio::test]
async fn the_message_of_one_reply_is_no_evidence_for_the_next() -> Result<()> {
    for style in STYLES {
        let road = Road::of(style, Dialect::V2, Statuses::NONE).await?;
        let _programs = road.open().await?;
        let first = road.asks(0);
        road.reply_becomes(&first, "done").await?;
        let second = road.asks_in_vain(0, Outcome::Cut);
        road.reply_becomes(&second, "unknown").await?;
        let effect = road.reply_becomes(&second, "done").await?;
        assert_eq!((effect.attempts, effect.outcome.as_deref()), (2, Some("done")), "{style:?}");
        assert_eq!(road.sent().len(), 2);
        road.one_message_each().await?;
    }
    Ok(())
}

/// Its answer was a success and named nothing; its message is found by its text, and is nobody else's then.
#[tokio::test]
async fn what_was_answered_without_a_name_claims_its_message() -> Result<()> {
    for (style, dialect) in [(Style::Conversation, Dialect::V1), (Style::Proxy, Dialect::V2)] {
        let road = Road::of(style, dialect, Statuses::default()).await?;
        let _programs = road.open().await?;
        let nothing = Reply::json(200, json!({}));
        let first = road.asks_in_vain(0, Outcome::AcceptThenAnswer(nothing));
        let effect = road.reply_becomes(&first, "done").await?;
        assert_eq!(effect.outcome.as_deref(), Some("done"));
        wait::until("its message to be claimed", PATIENCE, async || -> Result<bool> {
            let found = road.sent_message_ids().await?;
            ensure!(found == [(effect.id, Some(road.sent()[0].wamid.clone()))], "{found:?}");
            Ok(true)
        })
        .await?;
        assert_eq!(road.reply_to(&first).await?.outcome.as_deref(), Some("done"));
        assert!(road.listings().is_empty());
        road.one_message_each().await?;
    }
    Ok(())
}
