//! What Kapso answers that is neither a success nor an outage: no credits left, messages that it refuses for what they
//! are, and one that Meta takes and holds.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::wait;
use kapso_sim::{Action, Dialect, Fault, InboundMessage, Outcome, Reply, SimConfig, Times};
use serde_json::Value;

use crate::scene::{A_WHILE, PATIENCE, Road, counted, figure, holds, kapso, number};

/// Many times as long as it takes to discard them all, one after the other.
const WATCHED: Duration = Duration::from_secs(5);

const HELD: &str = "held for want of credits";

/// By which of Kapso's APIs effects go.
#[derive(Clone, Copy, Debug)]
enum Api {
    Conversation,
    MetaProxy,
    /// Replies by the one, marks by the other.
    Both,
}

impl Road {
    async fn by(api: Api) -> Result<Self> {
        let mut road = Self::beside(SimConfig { dialect: Dialect::V2, ..kapso() }).await?;
        match api {
            // Here marks need Kapso's own id, which this dialect does not give.
            Api::Conversation => road.sim.set_dialect(Dialect::Guide),
            Api::MetaProxy => road.stage.set("KAPSO_API_BASE_URL", road.sim.meta_proxy_url()),
            Api::Both => road.stage.set("KAPSO_META_PROXY_URL", road.sim.meta_proxy_url()),
        }
        Ok(road)
    }

    /// Waits until so many effects of each state are there, and none of another.
    async fn states_become(&self, expected: &[(&str, usize)]) -> Result<()> {
        wait::until(&format!("the effects to be {expected:?}"), PATIENCE, async || {
            let found = counted(self.effects().await?.into_iter().map(|effect| effect.state));
            let found: Vec<_> = found.iter().map(|(state, count)| (state.as_str(), *count)).collect();
            ensure!(found == expected, "{found:?}");
            Ok(true)
        })
        .await
    }

    /// Why each key that was used is held (empty: it is not).
    async fn reasons(&self) -> Result<Vec<String>> {
        self.texts("SELECT COALESCE(hold_reason, '') FROM api_keys ORDER BY 1").await
    }

    async fn reasons_become(&self, expected: &[&str]) -> Result<()> {
        wait::until(&format!("the keys to be {expected:?}"), PATIENCE, async || {
            let found = self.reasons().await?;
            ensure!(found == expected, "{found:?}");
            Ok(true)
        })
        .await
    }

    /// What was put off for a minute is due.
    async fn a_minute_later(&self) -> Result<()> {
        for sql in [
            "UPDATE effects SET next_at = next_at - interval '1 minute' WHERE state = 'pending' AND lease IS NULL",
            "UPDATE api_keys SET next_probe_at = next_probe_at - interval '1 minute' WHERE hold IS NOT NULL",
        ] {
            sqlx::query(sql).execute(&self.pool).await?;
        }
        Ok(())
    }

    fn sends(&self) -> usize {
        self.sim.calls().iter().filter(|call| call.action == Action::Send).count()
    }

    async fn becomes_calls(&self, calls: usize) -> Result<()> {
        wait::until(&format!("{calls} calls"), PATIENCE, async || {
            let made = self.sim.calls().len();
            ensure!(made == calls, "{made}");
            Ok(true)
        })
        .await?;
        holds("no more calls", WATCHED, async || Ok(self.sim.calls().len() == calls)).await
    }

    async fn tool(&self, args: &[&str]) -> Result<String> {
        let done = self.stage.finish("worker", args).await?;
        ensure!(done.code == Some(0), "{done:?}");
        Ok(done.log)
    }
}

fn told(workers: &[Product], line: &str) -> usize {
    workers.iter().map(|worker| worker.log().matches(line).count()).sum()
}

/// Nothing is discarded, one probe at a time leaves, and everything leaves once when there are credits again.
async fn held_until_somebody_pays(api: Api) -> Result<()> {
    let road = Road::by(api).await?;
    let _ingest = road.stage.ingest().await?;
    let workers = [road.stage.worker().await?, road.stage.worker().await?];
    road.sim.set_credits(false);
    drop(road.asks(0));
    road.reasons_become(&["credits_exhausted"]).await?;
    drop(road.ask(1..10));
    road.states_become(&[("pending", 20)]).await?;
    road.becomes_calls(1).await?;
    for worker in &workers {
        wait::until("the figure", PATIENCE, async || -> Result<bool> {
            Ok(figure(worker, "buzon_api_key_held{reason=\"credits_exhausted\"}").await? > 0.0)
        })
        .await?;
    }
    // Each minute one call sees whether somebody has paid.
    for calls in [2, 3] {
        road.a_minute_later().await?;
        road.becomes_calls(calls).await?;
    }
    road.states_become(&[("pending", 20)]).await?;
    ensure!(road.reasons().await? == ["credits_exhausted"]);
    assert_eq!((told(&workers, "add credits in Kapso"), told(&workers, "Kapso answers again")), (1, 0));

    road.sim.set_credits(true);
    road.a_minute_later().await?;
    road.reasons_become(&[""]).await?;
    // What a probe put off has its own minute.
    road.a_minute_later().await?;
    road.states_become(&[("done", 20)]).await?;
    let to = counted(road.sim.accepted_sends().into_iter().filter_map(|send| send.to));
    let marked = counted(road.sim.accepted_marks().into_iter().map(|mark| mark.message));
    ensure!(to.len() == 10 && to.values().all(|times| *times == 1), "{to:?}");
    ensure!(marked.len() == 10 && marked.values().all(|times| *times == 1), "{marked:?}");
    assert_eq!(road.sim.calls().len(), 3 + 20, "each that was refused for want of credits is a probe");
    assert_eq!((told(&workers, "add credits in Kapso"), told(&workers, "Kapso answers again")), (1, 1));
    Ok(())
}

#[tokio::test]
async fn without_credits_the_conversation_api_is_left_alone_until_somebody_pays() -> Result<()> {
    held_until_somebody_pays(Api::Conversation).await
}

#[tokio::test]
async fn without_credits_the_meta_proxy_is_left_alone_until_somebody_pays() -> Result<()> {
    held_until_somebody_pays(Api::MetaProxy).await
}

/// A mark may cost nothing: that it is taken says nothing of replies, and it waits for nothing.
#[tokio::test]
async fn a_mark_that_is_free_is_no_sign_of_credits() -> Result<()> {
    let road = Road::by(Api::MetaProxy).await?;
    let [_ingest, worker] = road.open().await?;
    let no_credits = Fault::next_send(Outcome::Answer(Reply::insufficient_credits()));
    road.sim.fault(no_credits.times(Times::Chance(1.0)));
    drop(road.asks(0));
    road.reasons_become(&["credits_exhausted"]).await?;
    drop(road.ask(1..6));
    road.states_become(&[("pending", 12)]).await?;
    road.a_minute_later().await?;
    road.states_become(&[("done", 6), ("pending", 6)]).await?;
    holds(HELD, A_WHILE, async || Ok(road.reasons().await? == ["credits_exhausted"])).await?;
    // The first, and the probe after the last mark.
    assert_eq!(road.sends(), 2);
    assert_eq!(told(std::slice::from_ref(&worker), "Kapso answers again"), 0);
    // A message that is refused for what it is was not looked at for credits.
    road.sim.clear_faults();
    road.sim.fault(Fault::next_send(Outcome::Answer(Reply::window_closed())));
    road.a_minute_later().await?;
    road.states_become(&[("discarded", 1), ("done", 6), ("pending", 5)]).await?;
    holds(HELD, A_WHILE, async || Ok(road.reasons().await? == ["credits_exhausted"])).await?;
    road.a_minute_later().await?;
    road.reasons_become(&[""]).await?;
    road.a_minute_later().await?;
    road.states_become(&[("discarded", 1), ("done", 11)]).await?;
    assert_eq!(road.sim.accepted_sends().len(), 5);
    Ok(())
}

/// What the Meta proxy says is said of marks alone, where replies go by the conversation API.
#[tokio::test]
async fn marks_that_are_refused_for_want_of_credits_leave_replies_alone() -> Result<()> {
    let road = Road::by(Api::Both).await?;
    let [_ingest, worker] = road.open().await?;
    let no_credits = Fault::next_mark(Outcome::Answer(Reply::insufficient_credits()));
    road.sim.fault(no_credits.times(Times::Chance(1.0)));
    drop(road.asks(0));
    road.reasons_become(&["", "credits_exhausted"]).await?;
    drop(road.ask(1..4));
    road.states_become(&[("done", 4), ("pending", 4)]).await?;
    ensure!(told(std::slice::from_ref(&worker), "nothing is marked as read: add credits") == 1);
    road.sim.clear_faults();
    road.a_minute_later().await?;
    road.reasons_become(&["", ""]).await?;
    road.a_minute_later().await?;
    road.states_become(&[("done", 8)]).await
}

/// A worker of the version before writes what it knows: the reason ends with the time of holding that it was for.
#[tokio::test]
async fn what_a_worker_of_the_version_before_writes_is_understood() -> Result<()> {
    let road = Road::by(Api::Conversation).await?;
    let write = async |set: &'static str| -> Result<Vec<String>> {
        let update = format!("UPDATE api_keys SET {set} WHERE id = 'a key'");
        sqlx::query(sqlx::AssertSqlSafe(update)).execute(&road.pool).await?;
        road.reasons().await
    };
    let held = "INSERT INTO api_keys (id, hold, held_since, unpaid_since, next_probe_at)
                SELECT 'a key', 'token_refused', at, at, at FROM (SELECT now() AS at) AS times";
    sqlx::query(held).execute(&road.pool).await?;
    ensure!(road.reasons().await? == ["credits_exhausted"]);
    let seen = write("failures = 3, next_probe_at = now(), probe = 'x', probe_until = now()").await?;
    ensure!(seen == ["credits_exhausted"], "{seen:?}");
    let seen =
        write("hold = NULL, held_since = NULL, next_probe_at = NULL, probe = NULL, probe_until = NULL")
            .await?;
    ensure!(seen == [""], "{seen:?}");
    let seen =
        write("hold = 'token_refused', held_since = now() + interval '1 s', next_probe_at = now()").await?;
    ensure!(seen == ["token_refused"], "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn what_kapso_refuses_for_what_it_is_costs_itself_and_names_its_code() -> Result<()> {
    let road = Road::by(Api::Conversation).await?;
    let _programs = road.open().await?;
    for (contact, (reply, outcome)) in [
        (
            Reply::marketing_preference_stopped(),
            "HTTP 422: Contact stopped marketing messages on this WhatsApp number (marketing_preference_stopped)",
        ),
        (
            Reply::messaging_account_mismatch(),
            "HTTP 422: WhatsApp number does not belong to this messaging account (messaging_account_mismatch)",
        ),
        (Reply::sandbox_session_required(), "HTTP 403: Active sandbox session required to send messages"),
        (Reply::window_closed_by_meta(), "HTTP 422: (#131047) Re-engagement message (131047)"),
    ]
    .into_iter()
    .enumerate()
    {
        road.sim.fault(Fault::next_send(Outcome::Answer(reply)));
        let ids = road.asks(contact);
        let refused = road.reply_becomes(&ids, "discarded").await?;
        assert_eq!((refused.attempts, refused.outcome.as_deref()), (1, Some(outcome)));
    }
    assert_eq!(road.sim.accepted_sends().len(), 0);
    ensure!(road.reasons().await?.iter().all(String::is_empty), "{:?}", road.reasons().await?);
    Ok(())
}

#[tokio::test]
async fn a_message_that_meta_holds_is_done_and_its_outcome_says_so() -> Result<()> {
    let road = Road::by(Api::MetaProxy).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_send(Outcome::AcceptHeld));
    let ids = road.sim.inbound(InboundMessage::text(number(1), "Necesito ayuda"));
    let reply = road.reply_becomes(&ids, "done").await?;
    ensure!(reply.outcome.as_deref().is_some_and(|it| it.contains("quality check")), "{reply:?}");
    let sent = road.sim.accepted_sends().remove(0).wamid;
    assert_eq!(road.texts("SELECT sent_message_id FROM effects WHERE kind = 'send_text'").await?, [sent]);
    let id = reply.id.to_string();
    for args in [&["effects", "list"][..], &["effects", "show", &id]] {
        let said = road.tool(args).await?;
        ensure!(said.contains("Meta holds it for a quality check"), "{said}");
    }
    let shown: Value = serde_json::from_str(&road.tool(&["effects", "show", &id, "--json"]).await?)?;
    ensure!(shown["state"] == "done" && shown["outcome"].to_string().contains("quality check"), "{shown}");
    Ok(())
}
