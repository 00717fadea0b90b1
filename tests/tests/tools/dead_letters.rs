//! Dead letters: seen, requeued and dropped.

use anyhow::{Context as _, Result, ensure};
use harness::wait;
use kapso_sim::{InboundMessage, SentIds};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene};

/// What nobody but the one who asks for it may read.
const WORDS: &str = "ayuda, veneno";

/// A v2 batch: one item that can be told and one that can't.
const PARTLY: &str = r#"{"type":"whatsapp.message.received","batch":true,"data":["no object",
    {"message":{"id":"wamid.GOOD","timestamp":"1771421467","type":"text","from":"5491155500457",
     "text":{"body":"hola"},"kapso":{"direction":"inbound"}},"conversation":{"id":"conv-good"},
     "phone_number_id":"2077"}]}"#;

/// The columns of dead letters that tools show, by webhook.
type Row = (i64, String, bool);

impl Scene {
    /// A message that a constraint refuses, once it is a dead letter.
    async fn poison(&self) -> Result<SentIds> {
        self.run("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%veneno%')").await?;
        let ids = self.sim.inbound(InboundMessage::text("+56955510042", WORDS));
        wait::until("a dead letter", PATIENCE, async || {
            Ok::<_, anyhow::Error>(self.letters().await?.len() == 1)
        })
        .await?;
        Ok(ids)
    }

    async fn letters(&self) -> Result<Vec<Row>> {
        let select = "SELECT id, reason, resolved_at IS NULL FROM dead_letters ORDER BY id";
        Ok(sqlx::query_as(select).fetch_all(&self.pool).await?)
    }

    async fn letter(&self) -> Result<Row> {
        self.letters().await?.pop().context("a dead letter")
    }
}

fn ids(listed: &Value) -> Vec<i64> {
    listed.as_array().into_iter().flatten().filter_map(|letter| letter["id"].as_i64()).collect()
}

#[tokio::test]
async fn what_is_requeued_is_tried_as_often_as_anything_new_and_answered() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let poison = scene.poison().await?;
    let (id, reason, _) = scene.letter().await?;
    ensure!(reason.contains("no_poison"), "{reason}");
    let shown = scene.tool(&["dead-letters", "requeue", &id.to_string()]).await?.fine()?;
    ensure!(shown.out.starts_with(&format!("{id}: requeued")), "{shown:?}");

    // It fails for another reason now, in three attempts of its own, and is open still.
    scene.run("ALTER TABLE messages RENAME CONSTRAINT no_poison TO no_venom").await?;
    scene.tool(&["dead-letters", "requeue", "--all"]).await?.fine()?;
    wait::until("it to fail again", PATIENCE, async || {
        let (found, reason, open) = scene.letter().await?;
        let attempts = scene.count("SELECT attempts::bigint FROM webhooks WHERE dead_at IS NOT NULL").await?;
        ensure!(found == id && open && attempts == 3, "{attempts}");
        ensure!(reason.contains("no_venom"), "{reason}");
        Ok(true)
    })
    .await?;

    scene.run("ALTER TABLE messages DROP CONSTRAINT no_venom").await?;
    scene.tool(&["dead-letters", "requeue", "--kind", "message.received"]).await?.fine()?;
    wait::until("it to be answered", PATIENCE, async || {
        let done = scene.texts("SELECT kind FROM effects WHERE state = 'done' ORDER BY kind").await?;
        ensure!(done == ["mark_read", "send_text"], "{done:?}");
        Ok(true)
    })
    .await?;
    ensure!(!scene.letter().await?.2, "it was projected, and is open still");
    let answered = scene.sim.accepted_sends();
    ensure!(answered.len() == 1 && answered[0].conversation_id == poison.conversation_id, "{answered:?}");
    let listed = scene.tool(&["dead-letters", "list"]).await?.fine()?;
    ensure!(listed.out == "There is no open dead letter.\n", "{listed:?}");
    Ok(())
}

#[tokio::test]
async fn they_are_shown_without_anybodys_words() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.poison().await?;
    scene.posts("no JSON\u{1b}[2J").await?;
    scene.posts(PARTLY).await?;
    let known: Vec<i64> = scene.letters().await?.iter().map(|(id, ..)| *id).collect();
    ensure!(known.len() == 3, "{known:?}");

    let listed = scene.tool(&["dead-letters", "list", "--json"]).await?.fine()?;
    let newest_first: Vec<i64> = known.iter().rev().copied().collect();
    ensure!(ids(&listed.json()?) == newest_first, "{listed:?}");
    let item = |nth: usize| listed.json().map(|listed| listed[nth]["item"].clone());
    ensure!(item(0)? == "data[0]" && item(1)?.is_null(), "{listed:?}");
    let table = scene.tool(&["dead-letters", "list"]).await?.fine()?;
    ensure!(
        table.out.lines().count() == 7 && table.out.lines().all(|line| !line.contains('\u{1b}')),
        "{table:?}"
    );
    ensure!(table.out.lines().skip(1).step_by(2).all(|line| line.chars().count() <= 80), "{table:?}");
    for (args, expected) in [
        (&["--kind", "message.received"][..], vec![known[0]]),
        (&["--limit", "1"], vec![known[2]]),
        (&["--since", "1h", "--until", "2020-01-01"], vec![]),
        (&["--resolved"], vec![]),
    ] {
        let args = [&["dead-letters", "list", "--json"], args].concat();
        let found = ids(&scene.tool(&args).await?.fine()?.json()?);
        ensure!(found == expected, "{args:?}: {found:?}");
    }

    let first = known[0].to_string();
    let shown = scene.tool(&["dead-letters", "show", &first]).await?.fine()?;
    let as_json = scene.tool(&["dead-letters", "show", &first, "--json"]).await?.fine()?;
    ensure!(shown.out.contains("no_poison") && shown.out.contains("secret:0"), "{shown:?}");
    ensure!(
        as_json.json()?["id"] == known[0] && as_json.json()?["webhooks"][0]["attempts"] == 3,
        "{as_json:?}"
    );
    for said in [&listed, &table, &shown, &as_json] {
        ensure!(!said.out.contains("veneno") && !said.err.contains("veneno"), "{said:?}");
    }
    let body = scene.tool(&["dead-letters", "show", &first, "--body"]).await?.fine()?;
    ensure!(scene.sim.deliveries().iter().any(|it| it.body == body.out.as_bytes()), "{body:?}");
    Ok(())
}

#[tokio::test]
async fn what_part_of_a_webhook_can_not_be_told_is_tried_again_too() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.posts(PARTLY).await?;
    // The rest of it is there; what was dead by some older decoder has its letter still.
    scene.run("INSERT INTO dead_letters (webhook_id, item, reason) SELECT id, 'data[1]', 'too new' FROM webhooks").await?;
    scene.run("DELETE FROM messages").await?;
    let requeued = scene.tool(&["dead-letters", "requeue", "--all", "--json"]).await?.fine()?.json()?;
    let outcomes: Vec<&str> =
        requeued.as_array().into_iter().flatten().filter_map(|it| it["outcome"].as_str()).collect();
    ensure!(outcomes == ["requeued", "pending_already"], "{requeued}");
    wait::until("it to be projected again", PATIENCE, async || {
        ensure!(scene.texts("SELECT id FROM messages").await? == ["wamid.GOOD"]);
        let open = scene.texts("SELECT item FROM dead_letters WHERE resolved_at IS NULL").await?;
        ensure!(open == ["data[0]"], "{open:?}");
        Ok(true)
    })
    .await
}

#[tokio::test]
async fn each_id_is_settled_by_itself() -> Result<()> {
    let scene = Scene::new().await?;
    let worker = scene.open().await?;
    scene.posts("no JSON").await?;
    let (id, ..) = scene.letter().await?;
    // The sender's retry after midnight of the last day: archived once more, in another month.
    scene.run("SELECT ensure_webhooks_partition(now() - interval '40 days')").await?;
    scene.run("INSERT INTO webhooks SELECT id, received_at - interval '40 days', kind, dialect, headers, verified_by,
               body, projected_at, dead_at, attempts FROM webhooks").await?;
    scene
        .run("INSERT INTO dead_letters (webhook_id, reason) VALUES (decode(repeat('ab', 32), 'hex'), 'lost')")
        .await?;
    let (lost, ..) = scene.letter().await?;
    let shown = scene.tool(&["dead-letters", "show", &id.to_string(), "--json"]).await?.fine()?;
    ensure!(shown.json()?["webhooks"].as_array().is_some_and(|copies| copies.len() == 2), "{shown:?}");

    // Nobody is there to take what is requeued.
    drop(worker);
    let (id, lost) = (id.to_string(), lost.to_string());
    let requeued = scene.tool(&["dead-letters", "requeue", &id, &lost, "4711", "--json"]).await?;
    ensure!(requeued.code == Some(1), "{requeued:?}");
    let outcomes = requeued.json()?;
    let outcomes: Vec<&Value> = outcomes.as_array().into_iter().flatten().map(|it| &it["outcome"]).collect();
    ensure!(outcomes == [&json!("requeued"), &json!("not_archived"), &json!("not_found")], "{outcomes:?}");
    let pending =
        "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL AND attempts = 0";
    ensure!(scene.count(pending).await? == 2);

    let dropped = scene.tool(&["dead-letters", "drop", &lost, "4711"]).await?;
    ensure!(dropped.code == Some(1), "{dropped:?}");
    let lines: Vec<&str> = dropped.out.lines().collect();
    ensure!(lines[0].starts_with(&format!("{lost}: dropped")), "{lines:?}");
    ensure!(lines[1] == "4711: there is no dead letter 4711", "{lines:?}");
    let again = scene.tool(&["dead-letters", "drop", &lost]).await?.fine()?;
    ensure!(again.out == format!("{lost}: it is resolved already\n"), "{again:?}");
    let listed = scene.tool(&["dead-letters", "list", "--resolved", "--json"]).await?.fine()?;
    ensure!(ids(&listed.json()?).iter().map(ToString::to_string).eq([lost]), "{listed:?}");

    let _worker = scene.stage.worker().await?;
    wait::until("both copies to fail again", PATIENCE, async || {
        let dead = scene.count("SELECT count(*) FROM webhooks WHERE dead_at IS NOT NULL").await?;
        ensure!(dead == 2, "{dead}");
        Ok(true)
    })
    .await?;
    ensure!(scene.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL").await? == 1);
    Ok(())
}

#[tokio::test]
async fn exit_codes() -> Result<()> {
    let scene = Scene::new().await?;
    for (args, code) in [
        (&["dead-letters", "list"][..], 0),
        (&["dead-letters", "show", "1"], 1),
        (&["dead-letters", "requeue"], 2),
        (&["dead-letters", "requeue", "--json"], 2),
        (&["dead-letters", "requeue", "1", "--all"], 2),
        (&["dead-letters", "drop"], 2),
        (&["dead-letters", "list", "--since", "yesterday"], 2),
        (&["replay"], 2),
        (&["replay", "--json"], 2),
        (&["replay", "--all", "--kind", "a"], 2),
        (&["replay", "--rebuild", "--effects"], 2),
        (&["replay", "--all", "--show-text"], 2),
        (&["replay", "--all"], 0),
        (&["replay", "--id", "0123"], 1),
        // Without a token nothing would be sent, and what is refused now is refused for ever.
        (&["replay", "--all", "--effects"], 1),
    ] {
        let said = scene.tool(args).await?;
        ensure!(said.code == Some(code), "{args:?}: {said:?}");
        ensure!(code == 0 || !said.err.is_empty(), "{args:?} says nothing");
    }
    let nowhere = scene.stage.setting("DATABASE_URL").to_owned();
    let scene = Scene { stage: scene.stage.with("DATABASE_URL", ""), ..scene };
    let said = scene.tool(&["replay", "--all"]).await?;
    ensure!(said.code == Some(64) && said.err.contains("DATABASE_URL"), "{said:?}");
    ensure!(!said.err.contains(&nowhere), "{said:?}");
    Ok(())
}
