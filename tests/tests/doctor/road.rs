//! The way from the public address into Postgres, and what can stand in it.

use anyhow::{Result, ensure};
use harness::wait;

use crate::middle::{Habit, Middle};
use crate::scene::{PATIENCE, Scene};

#[tokio::test]
async fn a_wrong_secret_is_told_from_a_rewritten_body() -> Result<()> {
    let mut scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.stage.set("KAPSO_WEBHOOK_SECRET", "another");
    let told = scene.doctor(&["--only", "road"]).await?;
    told.names(
        "road",
        "answer",
        &["has another secret", "identical", "Error: \\\"Invalid webhook signature\\\""],
    )?;
    Ok(())
}

/// End to end: the doctor's own event, and Kapso's, whose refusal ingest can explain.
#[tokio::test]
async fn a_proxy_that_rewrites_the_body_is_named_by_doctor_log_and_figure() -> Result<()> {
    let scene = Scene::behind(Habit::Rewrites).await?;
    let [ingest, _worker] = scene.open().await?;
    let told = scene.doctor(&["--only", "road"]).await?;
    told.names(
        "road",
        "answer",
        &["a proxy that rewrites the body", "writes it anew", "Invalid webhook signature"],
    )?
    .clears("road", "postgres")?;
    ensure!(!ingest.log().contains("signed.as"), "the doctor's event fits no usual form: {}", ingest.log());

    // It was signed as Python writes it; what comes is compact.
    let body =
        r#"{"conversation_id": "c-1", "event_type": "message.received", "payload": {"content": "R&D ñ"}}"#;
    scene.sim.send_webhook("message.received", body);
    ensure!(scene.sim.idle(PATIENCE).await, "the simulator still has something on its way");
    wait::until("the log", PATIENCE, async || -> Result<bool> {
        let log = ingest.log();
        ensure!(log.contains("rewrites the body") && log.contains(r#""signed.as":"spaced""#), "{log}");
        Ok(true)
    })
    .await?;
    let told = scene.doctor(&["--only", "ingest"]).await?;
    told.names("ingest", "signatures", &["were rewritten on their way", "as they are"])?;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM webhooks WHERE kind = 'message.received'")
        .fetch_one(scene.stage.pool())
        .await?;
    ensure!(stored == 0, "what was rewritten came in");
    Ok(())
}

#[tokio::test]
async fn what_a_proxy_answers_or_leaves_out_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let door = scene.stage.setting("INGEST_ADDR").parse()?;
    for (habit, words) in [
        (Habit::DropsHeaders, ["do not arrive", "Missing X-Kapso-Signature header"]),
        (Habit::Answers(404, "no such page"), ["that is not ingest's answer", "No se reciben webhooks"]),
        (
            Habit::Answers(401, "<html>log in</html>"),
            ["asks for an authentication", "Error 401 Unauthorized"],
        ),
        (Habit::Answers(502, "bad gateway"), ["does not reach ingest", "Error: Connection refused"]),
        (Habit::Answers(301, ""), ["leads elsewhere", "/elsewhere"]),
        (Habit::Answers(200, "<html>hello</html>"), ["something else than ingest", "No se reciben webhooks"]),
    ] {
        let middle = Middle::before(door, habit).await?;
        let told = scene.doctor(&["--only", "road", "--url", &middle.url()]).await?;
        // Ingest itself takes it, and there it is followed.
        told.names("road", "answer", &words)?.clears("road", "postgres")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_public_address_where_nobody_answers_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    for (url, words) in [
        ("http://127.0.0.1:1", ["nobody listens", "Error: Connection refused"]),
        ("http://buzon.invalid", ["there is no host `buzon.invalid`", "No se reciben webhooks"]),
    ] {
        let told = scene.doctor(&["--only", "road", "--url", url]).await?;
        told.names("road", "answer", &words)?.names("road", "answer", &["ingest itself takes webhooks"])?;
    }
    Ok(())
}

#[tokio::test]
async fn an_ingest_that_is_not_there_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    let told = scene.doctor(&["--only", "ingest"]).await?;
    told.names("ingest", "ready", &["nobody answers", "start ingest", "Error: Connection refused"])?;
    Ok(())
}

#[tokio::test]
async fn without_a_public_address_ingests_own_is_taken_and_that_is_said() -> Result<()> {
    let mut scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.stage.set("BUZON_PUBLIC_URL", "");
    let told = scene.doctor(&["--only", "road"]).await?;
    ensure!(told.code == Some(0), "{told:?}");
    told.has("remark", "road", "address", &["was not tried", "BUZON_PUBLIC_URL"])?
        .clears("road", "postgres")?;
    let told = scene.doctor(&["--offline"]).await?;
    ensure!(told.findings().all(|it| it["check"] != "api" && it["check"] != "webhook"), "{told:?}");
    Ok(())
}
