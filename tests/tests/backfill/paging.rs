//! Many pages, also while more comes in.

use std::collections::BTreeSet;

use anyhow::Result;
use harness::wait;
use kapso_sim::InboundMessage;
use serde_json::json;
use time::Duration;

use crate::scene::{PATIENCE, STYLES, Scene, Style, found, lacks_just, number, wamids};

/// The most that one page holds.
const PAGE: usize = 100;

#[tokio::test]
async fn every_page_is_read_and_no_message_older_than_asked() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        // In the order in which they were written: the simulator lists the last that it was told of first.
        for at in 0..30 {
            let _too_old = scene.unheard(0, "hace mucho", Duration::hours(4) - Duration::seconds(at));
        }
        let one = (0..2 * PAGE).map(|at| {
            let ago = Duration::hours(1) - Duration::seconds(i64::try_from(at).unwrap_or_default());
            scene.unheard(0, "uno de muchos", ago)
        });
        let mut lost: Vec<_> = one.collect();
        // More conversations than a page has, each with one message.
        lost.extend((1..=PAGE + 20).map(|contact| scene.unheard(contact, "una vez", Duration::minutes(10))));
        let expected = wamids(&lost);

        let done = scene.report(&["--since", "2h"]).await?;
        lacks_just(&done, &expected)?;
        assert_eq!(done["stored"], json!(lost.len()), "{style:?}");
        let stored: BTreeSet<String> = scene.texts("SELECT id FROM messages").await?.into_iter().collect();
        assert!(stored == expected, "{style:?}: {} are stored", stored.len());
        assert_eq!(scene.backfilled().await?, i64::try_from(lost.len())?);
        let asked = match style {
            // The numbers; two pages of conversations, and the first of them once more; the long one, as far as it
            // takes to see its end; the others.
            Style::Conversation => 1 + 2 + 1 + 3 + PAGE + 20,
            Style::Proxy => 4,
        };
        assert_eq!((scene.lists_asked(), &done["requests"]), (asked, &json!(asked)), "{style:?}");
        assert_eq!(scene.report(&["--since", "2h"]).await?["missing"], 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_just_full_is_not_the_end_nor_read_twice() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        let lost: Vec<_> = (0..PAGE).map(|_| scene.unheard(0, "lleno", Duration::minutes(5))).collect();
        let dry = scene.report(&["--since", "1h", "--dry-run"]).await?;
        lacks_just(&dry, &wamids(&lost))?;
        assert_eq!(dry["listed"], json!(PAGE), "{style:?}");
    }
    Ok(())
}

/// What comes in moves what is listed to later pages: nothing is missed, and nothing stored twice.
#[tokio::test]
async fn more_comes_in_while_pages_are_read() -> Result<()> {
    for style in STYLES {
        let mut scene = Scene::new(style).await?;
        // Slow enough for something to come in between two pages.
        scene.stage.set("BUZON_GAP_CALLS_PER_MINUTE", "600");
        let lost: Vec<_> =
            (0..3 * PAGE).map(|at| scene.unheard(at % 3, "antes", Duration::minutes(20))).collect();
        let coming = async {
            wait::until("the first page to be asked for", PATIENCE, async || scene.lists_asked() > 0).await?;
            let mut more = 0;
            loop {
                let message =
                    InboundMessage { lost: true, ..InboundMessage::text(number(more % 4), "mientras") };
                let _ids = scene.sim.inbound(message);
                more += 1;
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
                if more > 5_000 {
                    return anyhow::Ok(());
                }
            }
        };
        let done = tokio::select! {
            done = scene.report(&["--since", "1h"]) => done?,
            coming = coming => return coming,
        };
        let found = found(&done);
        assert!(wamids(&lost).is_subset(&found), "{style:?}: {} of {} found", found.len(), lost.len());
        assert_eq!(done["stored"], done["missing"]);
        assert_eq!(scene.backfilled().await?, i64::try_from(found.len())?, "{style:?}");
        let stored = scene.count("SELECT count(*) FROM messages WHERE body = 'antes'").await?;
        assert_eq!(stored, i64::try_from(lost.len())?);
    }
    Ok(())
}
