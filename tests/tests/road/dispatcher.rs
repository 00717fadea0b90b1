//! What becomes of a reply when Kapso's API has a bad day: done once, or said not to have been.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::proxy::Proxy;
use harness::wait;
use kapso_sim::{Action, Fault, Outcome, Reply, SentIds};
use serde_json::{Value, json};

use crate::scene::{A_WHILE, PATIENCE, Road, holds, number};

/// After this a lease has run out, and what is under it is unknown.
const LEASE: Duration = Duration::from_secs(30);

impl Road {
    /// A contact asks for help, and its reply will run into this.
    fn asks_and_meets(&self, contact: usize, outcome: Outcome) -> SentIds {
        let number = number(contact);
        self.sim.fault(Fault::next_send(outcome).about(number.trim_start_matches('+')));
        self.asks(contact)
    }

    /// The attempts at a reply: HTTP status and outcome of each.
    async fn attempts(&self, ids: &SentIds) -> Result<Vec<(Option<i32>, Option<String>)>> {
        let effect = self.effect(&ids.message_id, "send_text").await?;
        let attempts =
            "SELECT http_status, outcome FROM effect_attempts WHERE effect_id = $1 ORDER BY attempt";
        Ok(sqlx::query_as(attempts).bind(effect.id).fetch_all(&self.pool).await?)
    }

    fn sends_accepted(&self, ids: &SentIds) -> usize {
        let sends = self.sim.accepted_sends();
        sends.iter().filter(|send| send.conversation_id == ids.conversation_id).count()
    }

    /// When the sends of this conversation were asked for, in milliseconds.
    fn sends_asked_at(&self, ids: &SentIds) -> Vec<i64> {
        let calls = self.sim.calls().into_iter();
        let sends = calls.filter(|it| it.action == Action::Send && it.path.contains(&ids.conversation_id));
        sends.map(|call| call.at_ms).collect()
    }
}

#[tokio::test]
async fn what_kapso_put_off_is_done_later_and_once() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let put_off = [
        (429, "HTTP 429: Rate limit exceeded", Reply::rate_limited(2)),
        (
            409,
            "HTTP 409: Another message is already in-flight for this conversation. Please retry shortly.",
            Reply::in_flight(),
        ),
        (500, "HTTP 500: Internal server error", Reply::server_error(500)),
        (503, "HTTP 503: Service unavailable", Reply::server_error(503)),
    ];
    let asked: Vec<_> = (0..)
        .zip(&put_off)
        .map(|(contact, (.., reply))| road.asks_and_meets(contact, Outcome::Answer(reply.clone())))
        .collect();
    road.each_answered_once(&asked).await?;
    for (ids, (status, why, _)) in asked.iter().zip(put_off) {
        let expected = [(Some(status), Some(why.to_owned())), (Some(201), Some("done".to_owned()))];
        assert_eq!(road.attempts(ids).await?, expected);
        assert_eq!(road.sends_asked(ids), 2);
    }
    let waited = road.sends_asked_at(&asked[0]);
    assert!(waited[1] - waited[0] >= 2_000, "Retry-After was 2 s: {waited:?}");
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_connected_is_done_later_and_once() -> Result<()> {
    let mut road = Road::new().await?;
    let proxy = Proxy::to(road.sim.addr()).await?;
    proxy.refuse().await;
    road.stage.set("KAPSO_API_BASE_URL", format!("http://{}/api/v1", proxy.addr()));
    let _programs = road.open().await?;
    let asked = road.ask(0..3);
    for ids in &asked {
        wait::until("an attempt", PATIENCE, async || -> Result<bool> {
            let effect = road.effect(&ids.message_id, "send_text").await?;
            ensure!(effect.state == "pending" && effect.outcome.is_some(), "{effect:?}");
            Ok(true)
        })
        .await?;
        let attempts = road.attempts(ids).await?;
        assert!(attempts[0].0.is_none() && attempts[0].1.as_ref().is_some_and(|why| why.contains("refused")));
    }
    proxy.accept().await?;
    road.each_answered_once(&asked).await?;
    assert!(asked.iter().all(|ids| road.sends_asked(ids) == 1));
    Ok(())
}

#[tokio::test]
async fn what_is_refused_for_good_is_discarded_with_the_reason() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let meta = Reply::meta(400, 131_026, "Message undeliverable", "The number is not on WhatsApp.");
    let refused = [
        (
            422,
            "HTTP 422: Cannot send non-template messages outside the 24-hour window.",
            Reply::window_closed(),
        ),
        (400, "HTTP 400: (#131026) Message undeliverable (131026)", meta),
        (422, "HTTP 422: Postgres takes no \u{fffd}", Reply::kapso(422, "Postgres takes no \0")),
    ];
    for (contact, (status, why, reply)) in (0..).zip(refused) {
        let ids = road.asks_and_meets(contact, Outcome::Answer(reply));
        let effect = road.effect_becomes(&ids.message_id, "send_text", "discarded").await?;
        assert_eq!((effect.attempts, effect.outcome.as_deref()), (1, Some(why)));
        assert_eq!(road.attempts(&ids).await?, [(Some(status), Some(why.to_owned()))]);
        // The message is marked as read all the same.
        road.effect_becomes(&ids.message_id, "mark_read", "done").await?;
        assert_eq!(road.sends_asked(&ids), 1);
    }
    assert!(road.sim.accepted_sends().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_may_have_arrived_is_never_sent_again() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    // Nothing shows what became of them.
    road.lists_nothing();
    let hour = Duration::from_secs(3600);
    let html = |status| Reply::cloudflare(status);
    let lost = [
        (true, None, Outcome::AcceptThenCut),
        (false, None, Outcome::Cut),
        (true, None, Outcome::AcceptThenHang(hour)),
        (false, None, Outcome::Hang(hour)),
        (true, Some(504), Outcome::AcceptThenAnswer(html(504))),
        (false, Some(502), Outcome::Answer(html(502))),
        (true, Some(500), Outcome::AcceptThenAnswer(html(500))),
        (false, Some(503), Outcome::Answer(html(503))),
        (true, Some(524), Outcome::AcceptThenAnswer(html(524))),
    ];
    let asked: Vec<_> = (0..)
        .zip(&lost)
        .map(|(contact, (.., outcome))| road.asks_and_meets(contact, outcome.clone()))
        .collect();
    for (ids, (accepted, status, outcome)) in asked.iter().zip(&lost) {
        let reply = road.effect_becomes(&ids.message_id, "send_text", "unknown").await?;
        assert_eq!(reply.attempts, 1, "{}", outcome.name());
        let attempts = road.attempts(ids).await?;
        assert_eq!((attempts.len(), attempts[0].0), (1, *status), "{}", outcome.name());
        assert_eq!(attempts[0].1, reply.outcome);
        assert_eq!(road.sends_accepted(ids), usize::from(*accepted), "{}", outcome.name());
    }
    // What comes later in those lanes waits; other lanes go on.
    let (waits, goes_on) = (road.asks(0), road.asks(50));
    road.effect_becomes(&goes_on.message_id, "send_text", "done").await?;
    road.effect_becomes(&goes_on.message_id, "mark_read", "done").await?;
    road.effect_becomes(&waits.message_id, "send_text", "pending").await?;
    holds("one request each", A_WHILE, async || {
        Ok(asked.iter().chain([&goes_on]).all(|ids| road.sends_asked(ids) == 1))
    })
    .await?;
    for ids in asked.iter().skip(1).chain([&waits]) {
        assert_eq!(road.effect(&ids.message_id, "mark_read").await?.attempts, 0);
    }
    assert_eq!(road.effect(&waits.message_id, "send_text").await?.attempts, 0);
    Ok(())
}

/// The attempt is committed before its request leaves: whoever comes after sees that it was made.
#[tokio::test]
async fn a_kill_while_a_reply_is_on_its_way_leaves_it_unknown() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, mut worker] = road.open().await?;
    road.lists_nothing();
    let ids = road.asks_and_meets(0, Outcome::AcceptThenHang(Duration::from_secs(3600)));
    wait::until("the send", PATIENCE, async || road.sim.accepted_sends().len() == 1).await?;
    let row = "SELECT state, attempts, lease > now() AS leased FROM effects WHERE kind = 'send_text'";
    assert_eq!(road.row(row).await?, json!({ "state": "pending", "attempts": 1, "leased": true }));
    worker.kill();
    assert_eq!(road.attempts(&ids).await?, [(None, None)]);

    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    let other = road.asks(1);
    road.effect_becomes(&other.message_id, "mark_read", "done").await?;
    assert_eq!(road.effect(&ids.message_id, "send_text").await?.state, "pending", "its lease still runs");
    let reply = wait::until("the lease to run out", LEASE + PATIENCE, async || -> Result<_> {
        let reply = road.effect(&ids.message_id, "send_text").await?;
        Ok((reply.state == "unknown").then_some(reply))
    })
    .await?;
    let why = reply.outcome.context("a reason")?;
    assert_eq!((reply.attempts, why.as_str()), (1, "the worker stopped before it saw the answer"));
    holds("one send", A_WHILE, async || Ok(road.sends_asked(&ids) == 1)).await?;
    assert_eq!(road.effect(&ids.message_id, "send_text").await?.state, "unknown");
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_waited_for() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let ids = road.asks_and_meets(0, Outcome::Answer(Reply::wrong_token()));
    wait::until("the refusal", PATIENCE, async || -> Result<bool> {
        let effect = road.effect(&ids.message_id, "send_text").await?;
        ensure!(effect.outcome.is_some(), "{effect:?}");
        Ok(true)
    })
    .await?;
    let row = "SELECT state, attempts, outcome, lease, next_at > now() AS later FROM effects WHERE kind = 'send_text'";
    let expected = json!({
        "state": "pending", "attempts": 1, "outcome": "HTTP 401: Invalid or missing API key", "lease": Value::Null,
        "later": true,
    });
    assert_eq!(road.row(row).await?, expected);
    assert!(road.sim.accepted_sends().is_empty());
    Ok(())
}
