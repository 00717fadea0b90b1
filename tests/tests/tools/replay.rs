//! Replay: chosen webhooks are projected again, beside a worker, and owe nothing unless asked.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{InboundMessage, SentIds};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::scene::{PATIENCE, Scene, guides};
use crate::state::{Effects, State};

/// What the worker calls Kapso by.
const API: [&str; 3] = ["KAPSO_API_BASE_URL", "KAPSO_API_TOKEN", "KAPSO_PHONE_NUMBER_ID"];

impl Scene {
    async fn state(&self) -> Result<State> {
        State::of(&self.pool, Effects::Whole).await
    }

    async fn replays(&self, args: &[&str]) -> Result<Value> {
        self.tool(&[&["replay", "--json"], args].concat()).await?.fine()?.json()
    }

    /// Somebody asked before a worker looked, and what is known of it is lost but for the archive.
    async fn forgotten(&self, ids: &SentIds) -> Result<()> {
        self.settled().await?;
        for table in ["DELETE FROM messages WHERE id = $1", "DELETE FROM effects WHERE message_id = $1"] {
            sqlx::query(table).bind(&ids.message_id).execute(&self.pool).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn chosen_webhooks_are_projected_again_and_no_others() -> Result<()> {
    let scene = Scene::new().await?;
    let webhooks = guides(600);
    scene.stores(&webhooks).await?;
    let whole = scene.state().await?;
    let id = webhooks[7].id.to_string();
    let (since, until) = (webhooks[100].received_at, webhooks[350].received_at);
    let (since, until) = (time(since)?, time(until)?);
    for (args, selected) in [
        (vec!["--all"], 600),
        (vec!["--id", &id[..10]], 1),
        (vec!["--kind", "message.received"], 600),
        (vec!["--kind", "message.sent"], 0),
        (vec!["--conversation", "conv-3"], 60),
        (vec!["--conversation", "conv-3", "--since", &since, "--until", &until], 25),
        (vec!["--since", &since, "--until", &until], 250),
    ] {
        scene.run("DELETE FROM messages").await?;
        let told = scene.replays(&args).await?;
        ensure!(told["selected"] == selected && told["done"] == selected, "{args:?}: {told}");
        ensure!(scene.count("SELECT count(*) FROM messages").await? == selected, "{args:?}");
        scene.replays(&["--all"]).await?;
        let found = scene.state().await?;
        ensure!(whole.same(&found), "{args:?}: {}", whole.difference(&found));
    }
    // A conversation's messages are known by now: none is taken for one whose name begins alike.
    let told = scene.replays(&["--conversation", "conv-3"]).await?;
    ensure!(told["selected"] == 60, "{told}");
    Ok(())
}

fn time(at: OffsetDateTime) -> Result<String> {
    Ok(at.format(&time::format_description::well_known::Rfc3339)?)
}

#[tokio::test]
async fn nothing_is_owed_unless_asked_and_then_once() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let young = scene.answered(0..1).await?.remove(0);
    let at = Some(OffsetDateTime::now_utc() - Duration::hours(1));
    let old = scene.sim.inbound(InboundMessage { at, ..InboundMessage::text("+56955519999", "Ayuda") });
    scene.forgotten(&young).await?;
    scene.forgotten(&old).await?;

    let told = scene.replays(&["--all"]).await?;
    ensure!(told["owed"] == 0, "{told}");
    ensure!(scene.count("SELECT count(*) FROM effects").await? == 0);
    ensure!(scene.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await? == 2);

    let args = ["replay", "--all", "--effects", "--json"];
    let told = scene.tool_with(&args, &API).await?.fine()?.json()?;
    ensure!(told["owed"] == 4, "{told}");
    let again = scene.tool_with(&args, &API).await?.fine()?.json()?;
    ensure!(again["owed"] == 0, "{again}");
    scene.settled().await?;
    let sends = scene.sim.accepted_sends();
    // Once by the first worker, once by the replay of what had been forgotten; the old one never.
    let to = |ids: &SentIds| sends.iter().filter(|it| it.conversation_id == ids.conversation_id).count();
    ensure!((to(&young), to(&old)) == (2, 0), "{sends:?}");
    let refused = scene.texts("SELECT outcome FROM effects WHERE state = 'discarded'").await?;
    ensure!(refused == ["the message is older than 15 minutes"], "{refused:?}");
    Ok(())
}

/// What a replay stored without effects is answered when the message's own event comes.
#[tokio::test]
async fn a_replay_takes_nothing_from_the_event_that_comes_later() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let asked = scene.answered(0..1).await?.remove(0);
    scene.forgotten(&asked).await?;
    scene.replays(&["--all"]).await?;
    let sent = scene.sim.deliveries().into_iter().find(|it| it.message_ids.contains(&asked.message_id));
    let body: Value = serde_json::from_slice(&sent.map(|it| it.body).unwrap_or_default())?;
    scene.sim.send_webhook("message.received", serde_json::to_vec_pretty(&body)?);
    wait::until("it to be answered", PATIENCE, async || {
        let done = scene.texts("SELECT kind FROM effects WHERE state = 'done' ORDER BY kind").await?;
        ensure!(done == ["mark_read", "send_text"], "{done:?}");
        Ok(true)
    })
    .await
}

#[tokio::test]
async fn beside_a_worker_with_traffic_nothing_is_lost_or_owed_twice() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(2000)).await?;
    let _programs = scene.open().await?;
    scene.run("DELETE FROM messages").await?;
    let (replayed, asked) = tokio::join!(scene.replays(&["--all"]), scene.answered(0..30));
    let (replayed, asked) = (replayed?, asked?);
    ensure!(replayed["projected"].as_u64() >= Some(2000), "{replayed}");
    ensure!(scene.sim.accepted_sends().len() == asked.len());
    ensure!(
        scene.count("SELECT count(*) FROM messages WHERE id LIKE 'msg-%' AND body LIKE 'dice %'").await?
            == 2000
    );
    // Once more changes nothing at all.
    let state = scene.state().await?;
    scene.replays(&["--all"]).await?;
    let found = scene.state().await?;
    ensure!(state.same(&found), "{}", state.difference(&found));
    Ok(())
}

#[tokio::test]
async fn what_can_be_projected_by_now_is_resolved_and_what_can_not_is_kept() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(300)).await?;
    scene.run("DELETE FROM messages WHERE id = 'msg-17'").await?;
    scene.run("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (id <> 'msg-17')").await?;
    let told = scene.replays(&["--all"]).await?;
    ensure!(told["projected"] == 299 && told["dead"] == 1, "{told}");
    let open = "SELECT reason FROM dead_letters WHERE resolved_at IS NULL";
    let reasons = scene.texts(open).await?;
    ensure!(reasons.len() == 1 && reasons[0].contains("no_poison"), "{reasons:?}");
    ensure!(
        scene
            .count("SELECT count(*) FROM webhooks WHERE dead_at IS NOT NULL AND projected_at IS NULL")
            .await?
            == 1
    );
    // Seen, and dropped: it stays so while nothing new is the matter with it.
    scene.run("UPDATE dead_letters SET resolved_at = now()").await?;
    scene.replays(&["--all"]).await?;
    ensure!(scene.texts(open).await?.is_empty());
    scene.run("UPDATE dead_letters SET resolved_at = NULL").await?;

    scene.run("ALTER TABLE messages DROP CONSTRAINT no_poison").await?;
    let told = scene.replays(&["--all"]).await?;
    ensure!(told["projected"] == 300 && told["resolved"] == 1, "{told}");
    ensure!(scene.texts(open).await?.is_empty());
    ensure!(
        scene
            .count("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL AND dead_at IS NULL")
            .await?
            == 300
    );
    Ok(())
}
