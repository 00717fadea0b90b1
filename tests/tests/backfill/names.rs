//! Messages that webhooks and listing name in different ways.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, SimConfig};
use serde_json::json;

use crate::scene::{PATIENCE, Scene, Style, kapso, wamids};

/// The guide gives Kapso's id alone, the proxy lists WhatsApp's: what may be the same is not stored a second time.
#[tokio::test]
async fn what_can_not_be_told_apart_is_left_alone_and_said() -> Result<()> {
    let config = SimConfig { dialect: Dialect::Guide, ..kapso(Style::Proxy) };
    let scene = Scene::beside(Style::Proxy, config).await?;
    let _programs = tokio::try_join!(scene.stage.ingest(), scene.stage.worker())?;
    let heard: Vec<_> = (0..5).map(|contact| scene.asks(contact)).collect();
    scene.are_answered(&heard.iter().collect::<Vec<_>>()).await?;
    let lost = scene.asks_unheard(7);
    let done = scene.report(&["--since", "1h"]).await?;
    let why = "perhaps one that is known: webhooks and listing name messages in different ways";
    assert_eq!((&done["skipped"], &done["stored"]), (&json!({ why: 5 }), &json!(1)));
    assert_eq!(crate::scene::found(&done), wamids([&lost]));
    assert_eq!(scene.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await?, 6);
    Ok(())
}

/// Every dialect's name is among those that the conversation API lists.
#[tokio::test]
async fn the_conversation_api_names_what_any_dialect_told() -> Result<()> {
    for dialect in [Dialect::V1, Dialect::V2, Dialect::Meta] {
        let scene =
            Scene::beside(Style::Conversation, SimConfig { dialect, ..kapso(Style::Conversation) }).await?;
        let _programs = tokio::try_join!(scene.stage.ingest(), scene.stage.worker())?;
        let _heard: Vec<_> = (0..3).map(|contact| scene.asks(contact)).collect();
        wait::until("the messages", PATIENCE, async || -> Result<bool> {
            let stored = scene.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await?;
            ensure!(stored == 3, "{stored} are stored");
            Ok(true)
        })
        .await?;
        let done = scene.report(&["--since", "1h"]).await?;
        assert_eq!((&done["missing_inbound"], &done["skipped"]), (&json!(0), &json!({})), "{dialect}");
    }
    Ok(())
}
