//! The gap detector in a running worker.

use anyhow::{Context, Result, ensure};
use harness::product::Product;
use harness::wait;
use kapso_sim::InboundMessage;
use serde_json::{Value, json};
use sqlx::Executor as _;
use time::Duration;

use crate::scene::{PATIENCE, STYLES, Scene, Style, holds};

/// Waits for so many checks, and gives the last of them.
async fn checked(scene: &Scene, times: usize) -> Result<Value> {
    wait::until("the gap check", PATIENCE, async || {
        let checks = "SELECT listed, missing, behind, stored, error FROM gap_checks ORDER BY started_at";
        let mut checks = scene.rows(checks).await?;
        ensure!(checks.len() == times, "{checks:?}");
        Ok(checks.pop())
    })
    .await
}

/// Lets time go by: the last check was an hour ago.
async fn an_hour_later(scene: &Scene) -> Result<()> {
    sqlx::query("UPDATE gap_checks SET started_at = started_at - interval '1 hour'")
        .execute(&scene.pool)
        .await?;
    Ok(())
}

async fn figure(worker: &Product, name: &str) -> Result<Option<f64>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let text = client.get(format!("http://{}/metrics", worker.http())).send().await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.map(str::parse).transpose()?)
}

async fn detects(style: Style) -> Result<()> {
    let mut scene = Scene::new(style).await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    let _young = scene.asks_unheard(0);
    for contact in 1..=3 {
        let _lost = scene.unheard(contact, "Necesito ayuda", Duration::minutes(5));
    }
    // It reports, and goes on reporting for as long as the gap is there.
    for times in 1..=2 {
        let mut worker = scene.stage.worker().await?;
        let found = checked(&scene, times).await?;
        assert_eq!(
            found,
            json!({ "listed": 3, "missing": 3, "behind": 0, "stored": 0, "error": null }),
            "{style:?}"
        );
        assert_eq!(figure(&worker, "buzon_gap_messages").await?, Some(3.0));
        wait::until("the line", PATIENCE, async || worker.log().contains("gap: messages never reached us"))
            .await?;
        let log = worker.log();
        let line = log.lines().find(|line| line.contains("gap: messages")).context("the line")?;
        assert!(line.contains("\"missing_inbound\":3") && line.contains("WARN"), "{line}");
        worker.terminate(PATIENCE).await?;
        an_hour_later(&scene).await?;
    }
    assert_eq!(scene.count("SELECT count(*) FROM messages").await?, 0);

    // It stores, where that is switched on, and owes nothing for it.
    scene.stage.set("BUZON_BACKFILL", "on");
    let mut worker = scene.stage.worker().await?;
    assert_eq!(checked(&scene, 3).await?["stored"], 3);
    assert_eq!(figure(&worker, "buzon_gap_messages").await?, Some(0.0));
    assert_eq!(scene.backfilled().await?, 3);
    holds("nobody is answered", async || {
        Ok(scene.count("SELECT count(*) FROM effects").await? == 0 && scene.sim.accepted_sends().is_empty())
    })
    .await?;
    worker.terminate(PATIENCE).await?;
    an_hour_later(&scene).await?;

    let _worker = scene.stage.worker().await?;
    assert_eq!(checked(&scene, 4).await?["missing"], 0);
    Ok(())
}

#[tokio::test]
async fn it_reports_at_start_and_stores_where_that_is_switched_on() -> Result<()> {
    for style in STYLES {
        detects(style).await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_several_workers_one_looks() -> Result<()> {
    let mut scene = Scene::new(Style::Proxy).await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    let _lost = scene.unheard(1, "hola", Duration::minutes(5));
    let _workers = tokio::try_join!(scene.stage.worker(), scene.stage.worker(), scene.stage.worker())?;
    checked(&scene, 1).await?;
    let asked = scene.lists_asked();
    assert_eq!(asked, 1);
    holds("one check", async || {
        Ok(scene.count("SELECT count(*) FROM gap_checks").await? == 1 && scene.lists_asked() == asked)
    })
    .await
}

/// Whatever becomes of it, the worker works; without a token it says so, and looks for nothing.
#[tokio::test]
async fn it_disturbs_nobody() -> Result<()> {
    let mut scene = Scene::new(Style::Conversation).await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    scene.stage.set("KAPSO_API_TOKEN", "another");
    let _ingest = scene.stage.ingest().await?;
    let mut worker = scene.stage.worker().await?;
    let refused = checked(&scene, 1).await?;
    assert!(refused["error"].as_str().is_some_and(|why| why.contains("KAPSO_API_TOKEN")), "{refused}");
    let _heard = scene.asks(1);
    wait::until("the message", PATIENCE, async || -> Result<bool> {
        Ok(scene.count("SELECT count(*) FROM messages").await? == 1)
    })
    .await?;
    worker.terminate(PATIENCE).await?;

    scene.stage.set("KAPSO_API_TOKEN", "");
    let worker = scene.stage.worker().await?;
    wait::until("the line", PATIENCE, async || worker.log().contains("gaps are not looked for")).await?;
    scene.stage.set("KAPSO_API_TOKEN", crate::scene::TOKEN);
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "0");
    an_hour_later(&scene).await?;
    let _worker = scene.stage.worker().await?;
    holds("no other check", async || Ok(scene.count("SELECT count(*) FROM gap_checks").await? == 1)).await
}

/// The key's rate limit is one: whoever asks, asks alone.
#[tokio::test]
async fn a_backfill_by_hand_waits_for_it() -> Result<()> {
    let mut scene = Scene::new(Style::Conversation).await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    scene.stage.set("BUZON_GAP_CALLS_PER_MINUTE", "1");
    let _lost = scene.unheard(1, "hola", Duration::minutes(5));
    let mut worker = scene.stage.worker().await?;
    wait::until("the detector to ask", PATIENCE, async || scene.lists_asked() == 1).await?;
    scene.stage.set("BUZON_GAP_CALLS_PER_MINUTE", "60000");
    let mut by_hand = scene.start(&["--since", "1h", "--json"])?;
    wait::until("it to wait", PATIENCE, async || by_hand.log().contains("waiting for its end")).await?;
    assert_eq!(scene.lists_asked(), 1);
    // One that is stopped in the middle has found nothing, and holds nobody up.
    worker.terminate(PATIENCE).await?;
    assert_eq!(by_hand.process().end(PATIENCE).await?.code(), Some(0), "{}", by_hand.log());
    assert_eq!((scene.backfilled().await?, scene.count("SELECT count(*) FROM gap_checks").await?), (1, 0));
    Ok(())
}

/// What was written before Buzón was there did not have to reach it.
#[tokio::test]
async fn a_fresh_installation_misses_nothing_from_before() -> Result<()> {
    let mut scene = Scene::new(Style::Proxy).await?;
    sqlx::query("UPDATE _sqlx_migrations SET installed_on = now() - interval '10 minutes'")
        .execute(&scene.pool)
        .await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    let _before = scene.unheard(1, "hola", Duration::minutes(20));
    let _since = scene.unheard(2, "hola", Duration::minutes(5));
    let _worker = scene.stage.worker().await?;
    assert_eq!(checked(&scene, 1).await?["missing"], 1);
    Ok(())
}

/// What waits in our own queue has reached us.
#[tokio::test]
async fn a_backlog_is_no_gap() -> Result<()> {
    let mut scene = Scene::new(Style::Proxy).await?;
    scene.stage.set("BUZON_GAP_CHECK_MINUTES", "60");
    // One in the worker's hands, the others in the queue.
    scene.stage.set("BUZON_PREFETCH", "1");
    scene.stage.set("BUZON_WINDOW", "1");
    let _ingest = scene.stage.ingest().await?;
    for contact in 1..=5 {
        let at = Some(kapso_sim::now() - Duration::minutes(5));
        let _ = scene
            .sim
            .inbound(InboundMessage { at, ..InboundMessage::text(format!("+569555100{contact}"), "hola") });
    }
    ensure!(scene.sim.idle(PATIENCE).await, "the simulator still has something on its way");
    let mut busy = scene.pool.begin().await?;
    busy.execute("LOCK TABLE webhooks IN SHARE MODE").await?;
    let _worker = scene.stage.worker().await?;
    holds("no check", async || Ok(scene.count("SELECT count(*) FROM gap_checks").await? == 0)).await?;
    busy.rollback().await?;
    let found = checked(&scene, 1).await?;
    assert_eq!((&found["listed"], &found["missing"]), (&json!(5), &json!(0)));
    Ok(())
}
