//! The projections rebuilt wholly from the archive: the same rows, whatever was there, and whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::process::Signal;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::interrupted::waits_for;
use crate::scene::{PATIENCE, Scene, guides, signature};
use crate::state::{Effects, State};
use crate::story::Story;

/// Wrong in each way: rows are missing, rows say something else, and there are some that nobody told of.
const DAMAGE: [&str; 7] = [
    "DELETE FROM messages WHERE id IN (SELECT id FROM messages ORDER BY id LIMIT 3)",
    "UPDATE messages SET body = 'wrong', body_rank = 99 WHERE id = (SELECT max(id) FROM messages)",
    "INSERT INTO contacts (id, name) VALUES ('1', 'nobody')",
    "INSERT INTO subject_events VALUES ('phone_number', 'none', 'invented', '2026-01-01', '{}')",
    "DELETE FROM message_aliases",
    "DELETE FROM contact_aliases",
    "DELETE FROM conversations",
];

impl Scene {
    /// Has everything told that there is: in each dialect, and with our own replies.
    async fn told_everything(&mut self) -> Result<State> {
        let ingest = self.stage.ingest().await?;
        let worker = self.stage.worker().await?;
        self.answered(0..12).await?;
        drop(worker);
        // From here on nothing is sent: the story's people are none that the simulator knows.
        self.stage.set("KAPSO_API_TOKEN", "");
        let mut told: BTreeSet<Vec<u8>> = BTreeSet::new();
        for example in payloads::all()? {
            told.insert(example.body.clone());
            let unsigned = example.headers.iter().filter(|(name, _)| !name.contains("signature"));
            self.posts_with(
                example.body.clone(),
                unsigned.map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .await?;
        }
        for webhook in Story::new().told {
            told.insert(webhook.bytes().to_vec());
            let headers = webhook.headers.iter().map(|(name, value)| (*name, value.as_str()));
            self.posts_with(webhook.bytes().to_vec(), headers).await?;
        }
        let worker = self.stage.worker().await?;
        harness::wait::until("all of it to be stored", PATIENCE, async || {
            let stored: Vec<Vec<u8>> =
                sqlx::query_scalar("SELECT body FROM webhooks").fetch_all(&self.pool).await?;
            let stored: BTreeSet<Vec<u8>> = stored.into_iter().collect();
            let missing = told.difference(&stored).count();
            ensure!(missing == 0, "{missing} are missing");
            Ok(true)
        })
        .await?;
        self.settled().await?;
        drop((ingest, worker));
        State::of(&self.pool, Effects::Whole).await
    }

    async fn posts_with<'a>(
        &self,
        body: Vec<u8>,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        let signature = signature(&body)?;
        let mut headers: Vec<(&str, &str)> = headers.collect();
        headers.push(("X-Kapso-Signature", &signature));
        let answer = self.stage.post(body, &headers).await?;
        ensure!(answer.status() == 200, "{}", answer.text().await?);
        Ok(())
    }

    async fn damaged(&self) -> Result<State> {
        for statement in DAMAGE {
            ensure!(self.run(statement).await? > 0, "no damage: {statement}");
        }
        State::of(&self.pool, Effects::Whole).await
    }

    async fn rebuilt(&self, expected: &State) -> Result<()> {
        let said = self.tool(&["replay", "--rebuild", "--yes"]).await?.fine()?;
        let found = State::of(&self.pool, Effects::Whole).await?;
        ensure!(expected.same(&found), "{}\n{said:?}", expected.difference(&found));
        Ok(())
    }
}

#[tokio::test]
async fn every_dialect_and_our_own_replies_are_there_again() -> Result<()> {
    let mut scene = Scene::new().await?;
    let whole = scene.told_everything().await?;
    for (table, least) in
        [("messages", 60), ("message_aliases", 10), ("subjects", 5), ("reactions", 3), ("lanes", 12)]
    {
        ensure!(whole.counts().get(table) >= Some(&least), "{:?}", whole.counts());
    }
    let own =
        "SELECT count(*) FROM messages m JOIN effects e ON e.sent_message_id = m.id AND e.body = m.body";
    ensure!(scene.count(own).await? == 12);
    let said = scene.tool(&["replay", "--rebuild", "--yes"]).await?.fine()?;
    ensure!(said.out.contains("and 12 replies of ours: every row was what they say"), "{said:?}");
    let found = State::of(&scene.pool, Effects::Whole).await?;
    ensure!(whole.same(&found), "{}", whole.difference(&found));

    let damaged = scene.damaged().await?;
    ensure!(!whole.same(&damaged));
    scene.rebuilt(&whole).await?;
    // From nothing at all.
    scene.run("TRUNCATE contacts, contact_aliases, conversations, messages, message_aliases, message_statuses, reactions,
               subjects, subject_events").await?;
    scene.rebuilt(&whole).await
}

#[tokio::test]
async fn beside_a_worker_with_traffic_nothing_is_lost() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(3000)).await?;
    let _programs = scene.open().await?;
    let rebuilds = async {
        for _ in 0..3 {
            scene.tool(&["replay", "--rebuild"]).await?.fine()?;
        }
        anyhow::Ok(())
    };
    let (rebuilt, asked) = tokio::join!(rebuilds, scene.answered(0..30));
    rebuilt?;
    ensure!(scene.sim.accepted_sends().len() == asked?.len());
    let state = State::of(&scene.pool, Effects::Whole).await?;
    ensure!(scene.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await? == 3030);
    scene.rebuilt(&state).await
}

#[tokio::test]
async fn whoever_kills_it_leaves_what_was_there_and_readers_never_see_less() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(2000)).await?;
    let whole = State::of(&scene.pool, Effects::Whole).await?;
    let damaged = scene.damaged().await?;

    // In the midst of the last transaction: most tables are the new ones, uncommitted.
    let mut holder = scene.pool.begin().await?;
    sqlx::query("SELECT FROM subject_events WHERE id = 'none' FOR UPDATE").execute(&mut *holder).await?;
    let mut rebuild = scene.start("held", &["replay", "--rebuild"])?;
    waits_for(&scene, "locktype = 'transactionid'").await?;
    let seen = State::of(&scene.pool, Effects::Whole).await?;
    ensure!(damaged.same(&seen), "{}", damaged.difference(&seen));
    rebuild.signal(Signal::Kill)?;
    rebuild.end(PATIENCE).await?;
    holder.rollback().await?;
    let seen = State::of(&scene.pool, Effects::Whole).await?;
    ensure!(damaged.same(&seen), "{}", damaged.difference(&seen));

    // At any time: it is the one state or the other.
    let mut chance = StdRng::seed_from_u64(4);
    let mut left = [0, 0];
    for nth in 0..12 {
        let mut rebuild = scene.start(&format!("killed-{nth}"), &["replay", "--rebuild"])?;
        tokio::time::sleep(Duration::from_millis(chance.random_range(5..300))).await;
        rebuild.signal(Signal::Kill)?;
        rebuild.end(PATIENCE).await?;
        let seen = State::of(&scene.pool, Effects::Whole).await?;
        ensure!(seen.same(&damaged) || seen.same(&whole), "{}", damaged.difference(&seen));
        left[usize::from(seen.same(&whole))] += 1;
        if seen.same(&whole) {
            scene.damaged().await?;
        }
    }
    ensure!(left[0] > 0, "it was never killed in time: {left:?}");
    scene.rebuilt(&whole).await
}

#[tokio::test]
async fn an_interrupted_rebuild_changes_nothing() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(1000)).await?;
    scene.run("INSERT INTO subject_events VALUES ('phone_number', 'none', 'invented', now(), '{}')").await?;
    let before = scene.dump().await?;
    let mut barrier = scene.pool.begin().await?;
    sqlx::query("LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE").execute(&mut *barrier).await?;
    let mut rebuild = scene.start("rebuild", &["replay", "--rebuild"])?;
    waits_for(&scene, "relation = 'webhooks'::regclass").await?;
    rebuild.signal(Signal::Interrupt)?;
    harness::wait::until("it to hear", PATIENCE, async || rebuild.log().contains("a second signal aborts"))
        .await?;
    barrier.rollback().await?;
    let status = rebuild.end(PATIENCE).await?;
    ensure!(status.code() == Some(130) && rebuild.log().contains("as they were"), "{}", rebuild.log());
    ensure!(before == scene.dump().await?);
    Ok(())
}
