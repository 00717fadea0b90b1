//! `worker send-test` and `ingest sign`, against a real ingest.

use anyhow::{Context as _, Result, ensure};
use harness::wait;

use crate::scene::{PATIENCE, Scene};

/// What each dialect can tell, with the row that it must leave.
const TOLD: [(&str, &str, &str); 12] = [
    ("guide", "message.received", "messages"),
    ("guide", "message.failed", "messages"),
    ("guide", "conversation.status_changed", "conversations"),
    ("guide", "contact.created", "contacts"),
    ("v1", "message.received", "messages"),
    ("v1", "message.delivered", "messages"),
    ("v1", "conversation.ended", "conversations"),
    ("v2", "whatsapp.message.received", "messages"),
    ("v2", "message.read", "messages"),
    ("v2-batch", "message.received", "messages"),
    ("meta", "message.received", "messages"),
    ("meta", "message.sent", "messages"),
];

#[tokio::test]
async fn every_dialect_goes_through_a_real_ingest_and_is_projected() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let count = async |table: &str| -> Result<i64> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        Ok(sqlx::query_scalar(sql).fetch_one(scene.stage.pool()).await?)
    };
    for (dialect, kind, table) in TOLD {
        let before = count(table).await?;
        let said = scene.run("worker", &["send-test", kind, "--dialect", dialect], b"").await?;
        ensure!(
            said.code == Some(0) && said.out.starts_with("200 from http://"),
            "{dialect} {kind}: {said:?}"
        );
        wait::until(&format!("{dialect} {kind} to leave a row"), PATIENCE, async || -> Result<bool> {
            Ok(count(table).await? == before + 1)
        })
        .await?;
        // What it says to look with finds it.
        let query =
            said.out.lines().last().and_then(|line| line.split('"').nth(3)).context("a query")?.to_owned();
        let found = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(scene.stage.pool()).await?;
        ensure!(found.len() == 1, "{dialect} {kind}: {said:?}");
    }
    let open =
        "SELECT (SELECT count(*) FROM dead_letters) + (SELECT count(*) FROM webhooks WHERE dialect IS NULL)";
    let open: i64 = sqlx::query_scalar(open).fetch_one(scene.stage.pool()).await?;
    ensure!(open == 0, "{open} were not understood");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_prints_a_curl_that_is_taken() -> Result<()> {
    let scene = Scene::new().await?;
    let _ingest = scene.stage.ingest().await?;
    let said = scene.run("worker", &["send-test", "--dry-run", "--text", "it's ñ"], b"").await?;
    ensure!(said.code == Some(0), "{said:?}");
    let output = tokio::process::Command::new("sh").args(["-c", &said.out]).output().await?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(answer.contains(r#""status":"ok""#), "{said:?} {output:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_taken_or_not_there_is_said() -> Result<()> {
    let mut scene = Scene::new().await?;
    let wrong = scene.run("worker", &["send-test", "contact.created", "--dialect", "meta"], b"").await?;
    ensure!(wrong.code == Some(2) && wrong.err.contains("it has message.received"), "{wrong:?}");
    let away = scene.run("worker", &["send-test"], b"").await?;
    ensure!(away.code == Some(1) && away.out.contains("worker doctor"), "{away:?}");
    scene.stage.set("KAPSO_WEBHOOK_SECRET", "");
    let none = scene.run("worker", &["send-test"], b"").await?;
    ensure!(none.code == Some(64) && none.err.contains("KAPSO_WEBHOOK_SECRET is not set"), "{none:?}");
    Ok(())
}

#[tokio::test]
async fn ingest_signs_as_the_door_checks() -> Result<()> {
    let scene = Scene::new().await?;
    let _ingest = scene.stage.ingest().await?;
    let body = "{\"event_type\": \"message.received\"}\n";
    for (header, name) in [("kapso", "X-Kapso-Signature"), ("webhook", "X-Webhook-Signature")] {
        let said = scene.run("ingest", &["sign", "--header", header], body.as_bytes()).await?;
        let (found, signature) = said.out.trim_end().split_once(": ").context(said.out.clone())?;
        ensure!(found == name, "{said:?}");
        let answer = scene.stage.post(body, &[(found, signature)]).await?;
        ensure!(answer.status() == 200, "{said:?}");
    }
    let said = scene.run("ingest", &["sign", "--header", "hub"], body.as_bytes()).await?;
    ensure!(said.code == Some(64) && said.err.contains("KAPSO_META_APP_SECRET is not set"), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn completions_and_versions_need_no_settings() -> Result<()> {
    let mut scene = Scene::new().await?;
    for variable in ["DATABASE_URL", "AMQP_URL", "KAPSO_WEBHOOK_SECRET"] {
        scene.stage.set(variable, "");
    }
    for program in ["ingest", "worker"] {
        for shell in ["bash", "zsh", "fish"] {
            let said = scene.run(program, &["completions", shell], b"").await?;
            ensure!(said.code == Some(0) && said.out.contains("healthcheck"), "{program} {shell}: {said:?}");
        }
        let said = scene.run(program, &["--version"], b"").await?;
        ensure!(said.out == format!("{program} {}\n", env!("CARGO_PKG_VERSION")), "{said:?}");
    }
    Ok(())
}
