//! A gap, filled: exactly what is missing, once, and nobody is answered for it, until its own webhook comes.

use anyhow::Result;
use serde_json::json;

use crate::scene::{STYLES, Scene, Style, found, holds, wamids};

async fn filled(style: Style) -> Result<()> {
    let scene = Scene::new(style).await?;
    let _programs = tokio::try_join!(scene.stage.ingest(), scene.stage.worker())?;
    let heard: Vec<_> = (0..3).map(|contact| scene.asks(contact)).collect();
    let lost: Vec<_> = (3..7).map(|contact| scene.asks_unheard(contact)).collect();
    let mut answered: Vec<_> = heard.iter().collect();
    scene.are_answered(&answered).await?;
    let all = "SELECT (SELECT count(*) FROM webhooks) + (SELECT count(*) FROM messages) + (SELECT count(*) FROM effects)";
    let before = scene.count(all).await?;

    // Our own replies are listed too, and known.
    let dry = scene.report(&["--since", "1h", "--dry-run"]).await?;
    assert_eq!((found(&dry), &dry["missing"], &dry["stored"]), (wamids(&lost), &json!(4), &json!(0)));
    assert_eq!((&dry["known"], &dry["missing_inbound"]), (&json!(6), &json!(4)));
    assert_eq!((scene.count(all).await?, scene.backfilled().await?), (before, 0), "a dry run writes nothing");

    let done = scene.report(&["--since", "1h"]).await?;
    assert_eq!((found(&done), &done["stored"], &done["skipped"]), (wamids(&lost), &json!(4), &json!({})));
    assert_eq!(scene.backfilled().await?, 4);
    let stored = "SELECT id FROM messages WHERE body = 'Necesito ayuda' AND status = 'received' ORDER BY id";
    let expected: Vec<String> = wamids(lost.iter()).into_iter().collect();
    let mut wamid_named = scene.texts(stored).await?;
    wamid_named.retain(|id| expected.contains(id));
    assert_eq!(wamid_named, expected);
    holds("nothing is owed and nobody is answered", async || {
        let owed = scene.count("SELECT count(*) FROM effects").await?;
        Ok(owed == 6 && scene.sim.accepted_sends().len() == 3 && scene.sim.accepted_marks().len() == 3)
    })
    .await?;

    let again = scene.report(&["--since", "1h"]).await?;
    assert_eq!((&again["missing"], &again["behind"], &again["stored"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(scene.backfilled().await?, 4);

    // The webhook comes after all, and then once more.
    for late in &lost {
        scene.comes_late(late)?;
    }
    answered.extend(&lost);
    scene.are_answered(&answered).await?;
    for late in &lost {
        scene.comes_late(late)?;
    }
    let last = scene.report(&["--since", "1h"]).await?;
    assert_eq!((&last["missing"], &last["behind"]), (&json!(0), &json!(0)));
    holds("each is answered once", async || Ok(scene.sim.accepted_sends().len() == 7)).await?;
    assert_eq!(
        scene.count("SELECT count(*) FROM messages").await?,
        14,
        "seven asked, seven answered, none doubled"
    );
    assert_eq!(scene.count("SELECT count(*) FROM effects WHERE state = 'done'").await?, 14);
    Ok(())
}

#[tokio::test]
async fn a_gap_is_filled_once_and_answered_by_its_own_webhook() -> Result<()> {
    for style in STYLES {
        filled(style).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_it_prints_for_a_person_names_no_words() -> Result<()> {
    let scene = Scene::new(Style::Proxy).await?;
    let lost = scene.asks_unheard(1);
    let ran = scene.backfill(&["--since", "2h", "--dry-run"]).await?;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert!(ran.log.contains(&format!("inbound   message  {}", lost.wamid)), "{}", ran.log);
    assert!(ran.log.contains("never reached us 1 (1 of them inbound)"), "{}", ran.log);
    assert!(
        ran.log.contains("dry run") && !ran.log.contains("ayuda") && !ran.log.contains("56955510001"),
        "{}",
        ran.log
    );
    Ok(())
}
