//! One bad item costs itself only; and nothing is taken that can't be stored yet.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{InboundMessage, SentIds};
use rand::{RngExt as _, SeedableRng as _, distr::Alphanumeric, rngs::StdRng};
use tokio::time::sleep;
use worker::project::{self, Lock};

use crate::scene::{PATIENCE, Road, figure, number};

/// How often the slow lane tries what the database refuses.
const MAX_ATTEMPTS: i32 = 3;

/// What one transaction of the fast lane takes unless configured.
const WINDOW: usize = 250;

impl Road {
    /// Sends a bad message among good ones while nobody looks, so that they are in one window; waits for the end.
    async fn one_bad_among_good(&self, bad: InboundMessage, attempts: i32, reason: &str) -> Result<()> {
        let _ingest = self.stage.ingest().await?;
        let mut good = self.ask(0..10);
        let bad = self.sim.inbound(bad);
        good.extend(self.ask(10..20));
        self.all_answered().await?;
        let mut worker = self.stage.worker().await?;

        let (body, dead_reason) = self.becomes_a_dead_letter(&bad, attempts).await?;
        let sent = self.sim.deliveries().into_iter().find(|it| it.message_ids.contains(&bad.message_id));
        assert_eq!(sent.map(|sent| sent.body.to_vec()), Some(body));
        assert!(dead_reason.contains(reason), "{dead_reason}");

        self.sim.clear_deliveries();
        self.each_answered_once(&good).await?;
        assert_eq!(self.count("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL").await?, 20);
        assert_eq!(self.count("SELECT count(*) FROM dead_letters").await?, 1);
        let made = figure(&worker, "buzon_dead_letters_made_total").await?;
        ensure!((made - 1.0).abs() < f64::EPSILON, "{made}");
        // The broker never holds a poison.
        self.kill(&mut worker, 0).await
    }

    /// The archived bytes and the reason, once all attempts are made.
    async fn becomes_a_dead_letter(&self, ids: &SentIds, attempts: i32) -> Result<(Vec<u8>, String)> {
        let dead = wait::until("a dead letter", PATIENCE, async || -> Result<_> {
            let dead: Option<(Vec<u8>, String, i32, bool)> = sqlx::query_as(
                "SELECT body, reason, attempts, projected_at IS NULL AND dead_at IS NOT NULL
                 FROM webhooks JOIN dead_letters ON webhook_id = webhooks.id
                 WHERE position($1::bytea in body) > 0",
            )
            .bind(ids.message_id.as_bytes())
            .fetch_optional(&self.pool)
            .await?;
            Ok(dead)
        })
        .await?;
        let (body, reason, made, dead) = dead;
        assert_eq!((made, dead), (attempts, true));
        Ok((body, reason))
    }
}

#[tokio::test]
async fn what_a_constraint_refuses_is_a_dead_letter_and_its_neighbours_are_answered() -> Result<()> {
    let road = Road::new().await?;
    sqlx::query("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%veneno%')")
        .execute(&road.pool)
        .await?;
    let bad = InboundMessage::text(number(99), "ayuda, veneno");
    road.one_bad_among_good(bad, MAX_ATTEMPTS, "no_poison\" (23514)").await?;
    let reason = road.texts("SELECT reason FROM dead_letters").await?.concat();
    assert!(!reason.contains("veneno"), "the reason shows the text: {reason}");
    Ok(())
}

/// All that shared its window go one by one, which costs each a transaction of its own, and nothing else.
#[tokio::test]
async fn a_whole_window_beside_one_bad_webhook_is_projected_at_the_first_attempt() -> Result<()> {
    let road = Road::new().await?;
    sqlx::query("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%veneno%')")
        .execute(&road.pool)
        .await?;
    let _ingest = road.stage.ingest().await?;
    let mut good = road.ask(0..WINDOW / 2);
    let bad = road.sim.inbound(InboundMessage::text(number(9999), "ayuda, veneno"));
    good.extend(road.ask(WINDOW / 2..WINDOW - 1));
    road.all_answered().await?;
    let worker = road.stage.worker().await?;
    road.becomes_a_dead_letter(&bad, MAX_ATTEMPTS).await?;
    road.sim.clear_deliveries();
    road.each_answered_once(&good).await?;
    // A busy machine may have split the window: what was not beside the bad one took no attempt.
    let projected = "SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL AND attempts <= 1";
    assert_eq!(road.count(projected).await?, i64::try_from(WINDOW - 1)?);
    assert_eq!(worker.log().matches("a window goes to the slow lane").count(), 1, "{}", worker.log());
    Ok(())
}

/// An index row of Postgres has at most 2704 bytes: a longer id that does not compress can't be stored.
#[tokio::test]
async fn an_id_that_no_index_can_hold_is_a_dead_letter_and_its_neighbours_are_answered() -> Result<()> {
    let road = Road::new().await?;
    let chance = StdRng::seed_from_u64(54_000);
    let id = chance.sample_iter(Alphanumeric).take(8_000).map(char::from).collect();
    let bad = InboundMessage { message_id: Some(id), ..InboundMessage::text(number(99), "ayuda") };
    // It is not even tried: the decoder knows.
    road.one_bad_among_good(bad, 0, "the message's id is longer than").await
}

/// Beyond a limit of its own (SQLSTATE class 54), Postgres refuses the same thing for ever: that is no outage.
#[tokio::test]
async fn what_is_beyond_a_limit_of_postgres_is_a_dead_letter_and_its_neighbours_are_answered() -> Result<()> {
    let road = Road::new().await?;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'beyond a limit' USING ERRCODE = 'program_limit_exceeded'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW
            WHEN (NEW.body LIKE '%veneno%') EXECUTE FUNCTION refuse()",
    )
    .execute(&road.pool)
    .await?;
    let bad = InboundMessage::text(number(99), "ayuda, veneno");
    road.one_bad_among_good(bad, MAX_ATTEMPTS, "beyond a limit (54000)").await
}

/// A rebuild or a merge keeps everybody waiting: that is no attempt of the webhook's.
#[tokio::test]
async fn whoever_waits_for_the_projections_has_the_webhook_that_he_waits_with() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let ids = road.asks(0);
    road.each_answered_once(&[ids]).await?;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(road.stage.worker().await?);
    }
    let mut held = road.pool.begin().await?;
    project::lock(&mut held, Lock::Exclusive).await?;
    let again = "UPDATE webhooks SET projected_at = NULL, attempts = 0, next_attempt_at = now()";
    sqlx::query(again).execute(&road.pool).await?;
    // As long as four claims take, with 5 s from each to the next.
    sleep(Duration::from_secs(18)).await;
    held.rollback().await?;
    wait::until("the webhook", PATIENCE, async || -> Result<bool> {
        let rows = road.rows("SELECT attempts, dead_at FROM webhooks WHERE projected_at IS NOT NULL").await?;
        ensure!(rows.len() == 1 && rows[0]["attempts"] == 1 && rows[0]["dead_at"].is_null(), "{rows:?}");
        Ok(true)
    })
    .await?;
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_worker_waits_for_its_schema_and_says_so() -> Result<()> {
    let road = Road::new().await?;
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&road.pool).await?;
    let _ingest = road.stage.ingest().await?;
    let mut worker = road.stage.worker_unready()?;
    worker.answers("/livez", PATIENCE).await?;
    let asked = road.ask(0..3);
    road.all_answered().await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    wait::until("the worker to name what it waits for", PATIENCE, async || -> Result<bool> {
        let answer = client.get(format!("http://{}/readyz", worker.http())).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 503 && text.contains("run `worker migrate`"), "{status} {text}");
        Ok(true)
    })
    .await?;
    assert!(worker.log().contains("run `worker migrate`"), "{}", worker.log());
    // Nothing is taken from the broker that can't be stored.
    assert_eq!(road.queue().await?, (3, 0));

    road.stage.migrate().await?;
    worker.ready(PATIENCE).await?;
    road.each_answered_once(&asked).await
}
