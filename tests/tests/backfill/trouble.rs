//! Kapso answers with errors, or not at all.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::process::Signal;
use harness::wait;
use kapso_sim::{Fault, Outcome, Reply, Times};
use serde_json::json;
use time::Duration as Ago;

use crate::scene::{PATIENCE, STYLES, Scene, Style, found, lacks_just, wamids};

#[tokio::test]
async fn what_passes_is_waited_out() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        let lost: Vec<_> = (0..250).map(|_| scene.unheard(0, "hola", Ago::minutes(5))).collect();
        for outcome in
            [Outcome::Answer(Reply::rate_limited(2)), Outcome::Answer(Reply::cloudflare(503)), Outcome::Cut]
        {
            scene.sim.fault(Fault::next_list(outcome));
        }
        let bad_gateway = Outcome::Answer(Reply::cloudflare(502));
        scene.sim.fault(Fault::next_list(bad_gateway).times(Times::Chance(0.25)));
        let began = Instant::now();
        let done = scene.report(&["--since", "1h"]).await?;
        assert!(began.elapsed() >= Duration::from_secs(2), "Retry-After is honoured");
        lacks_just(&done, &wamids(&lost))?;
        assert_eq!(done["stored"], json!(250), "{style:?}");
        assert_eq!(scene.backfilled().await?, 250);
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_said_at_once() -> Result<()> {
    for style in STYLES {
        let mut scene = Scene::new(style).await?;
        let _lost = scene.asks_unheard(0);
        scene.stage.set("KAPSO_API_TOKEN", "another");
        let ran = scene.backfill(&["--since", "1h", "--json"]).await?;
        assert_eq!((ran.code, ran.reported()?["stored"].as_i64()), (Some(1), Some(0)), "{}", ran.log);
        let why = "Kapso refuses the token (HTTP 401: Invalid or missing API key): look at KAPSO_API_TOKEN";
        assert!(ran.log.contains(why) && !ran.log.contains("another\""), "{}", ran.log);
        assert_eq!(scene.lists_asked(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_pass_ends_it_and_what_was_stored_stays() -> Result<()> {
    let scene = Scene::new(Style::Conversation).await?;
    let ids = scene.unheard(0, "de una conversación", Ago::minutes(5));
    let other = scene.unheard(1, "de otra", Ago::minutes(5));
    // The older conversation is listed last.
    let refused = Fault::next_list(Outcome::Answer(Reply::kapso(422, "no")));
    scene.sim.fault(refused.about(ids.conversation_id.clone()).times(Times::Chance(1.0)));
    let ran = scene.backfill(&["--since", "1h", "--json"]).await?;
    assert_eq!(ran.code, Some(1), "{}", ran.log);
    assert!(
        ran.log.contains("Kapso refuses to list the messages of a conversation: HTTP 422: no"),
        "{}",
        ran.log
    );
    assert_eq!((found(&ran.reported()?), scene.backfilled().await?), (wamids([&other]), 1));
    scene.sim.clear_faults();
    assert_eq!(found(&scene.report(&["--since", "1h"]).await?), wamids([&ids]));
    Ok(())
}

#[tokio::test]
async fn the_command_line_and_the_configuration_are_checked() -> Result<()> {
    let mut scene = Scene::new(Style::Conversation).await?;
    for arguments in [&[][..], &["--since", "ayer"], &["--since", "1h", "--until", "2h"]] {
        let ran = scene.backfill(arguments).await?;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.log);
    }
    scene.stage.set("KAPSO_API_TOKEN", "");
    let ran = scene.backfill(&["--since", "1h"]).await?;
    assert_eq!((ran.code, ran.log.contains("KAPSO_API_TOKEN is missing")), (Some(64), true), "{}", ran.log);
    assert_eq!(scene.lists_asked(), 0);
    Ok(())
}

#[tokio::test]
async fn the_proxy_wants_a_number() -> Result<()> {
    let mut scene = Scene::new(Style::Proxy).await?;
    scene.stage.set("KAPSO_PHONE_NUMBER_ID", "");
    let ran = scene.backfill(&["--since", "1h"]).await?;
    assert_eq!((ran.code, ran.log.contains("set KAPSO_PHONE_NUMBER_ID")), (Some(1), true), "{}", ran.log);
    scene.stage.set("KAPSO_PHONE_NUMBER_ID", "4711");
    let ran = scene.backfill(&["--since", "1h"]).await?;
    assert_eq!((ran.code, ran.log.contains("it knows none of our numbers")), (Some(1), true), "{}", ran.log);
    Ok(())
}

#[tokio::test]
async fn ctrl_c_ends_it_between_two_pages() -> Result<()> {
    let mut scene = Scene::new(Style::Proxy).await?;
    let lost: Vec<_> = (0..250).map(|_| scene.unheard(0, "hola", Ago::minutes(5))).collect();
    scene.stage.set("BUZON_GAP_CALLS_PER_MINUTE", "1");
    let mut running = scene.start(&["--since", "1h", "--json"])?;
    wait::until("the first page to be stored", PATIENCE, async || {
        Ok::<_, anyhow::Error>(scene.backfilled().await? == 100)
    })
    .await?;
    let ended = running.process().stop(Signal::Interrupt, PATIENCE).await?;
    assert_eq!(ended.code(), Some(130), "{}", running.log());
    assert!(running.log().contains("interrupted: run it again with the same --since"), "{}", running.log());
    scene.stage.set("BUZON_GAP_CALLS_PER_MINUTE", "60000");
    assert_eq!(scene.report(&["--since", "1h"]).await?["stored"], 150);
    assert_eq!(scene.backfilled().await?, i64::try_from(lost.len())?);
    Ok(())
}
