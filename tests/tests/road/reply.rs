//! A message in, a reply and a mark out, and what becomes of the reply.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Fault, InboundMessage, Outcome, Reply, SentIds, SimConfig, Statuses, Times};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::scene::{A_WHILE, PATIENCE, REPLY, Road, holds, kapso, number};

impl Road {
    /// Waits until something has become of every effect; what, by message and kind.
    async fn settled(&self, effects: usize) -> Result<()> {
        wait::until("every effect to be settled", PATIENCE, async || {
            let found = self.effects().await?;
            ensure!(
                found.len() == effects && found.iter().all(|effect| effect.state != "pending"),
                "{found:?}"
            );
            Ok(true)
        })
        .await
    }

    async fn outcome(&self, ids: &SentIds, kind: &str) -> Result<(String, String)> {
        let effect = self.effect(&ids.message_id, kind).await?;
        Ok((effect.state, effect.outcome.unwrap_or_default()))
    }

    fn aged(&self, contact: usize, age: Duration) -> SentIds {
        let at = Some(OffsetDateTime::now_utc() - age);
        self.sim.inbound(InboundMessage { at, ..InboundMessage::text(number(contact), "Ayuda") })
    }
}

fn is(state: &str, outcome: &str) -> (String, String) {
    (state.to_owned(), outcome.to_owned())
}

/// The reply holds the keyword: another machine that repeats it must not be answered for ever.
#[tokio::test]
async fn two_machines_do_not_answer_each_other_for_ever() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let said: Vec<SentIds> =
        (0..8).map(|_| road.sim.inbound(InboundMessage::text(number(1), REPLY))).collect();
    road.settled(said.len() * 2).await?;
    assert_eq!(road.sim.accepted_sends().len(), 5);
    assert_eq!(road.sim.accepted_marks().len(), 8);
    let guarded = "SELECT count(*) FROM effects WHERE state = 'discarded' AND outcome LIKE 'loop guard%'";
    assert_eq!(road.count(guarded).await?, 3);
    Ok(())
}

#[tokio::test]
async fn ayuda_is_answered_once_and_the_reply_is_followed_until_it_is_read() -> Result<()> {
    let road = Road::beside(SimConfig { statuses: Statuses::default(), ..kapso() }).await?;
    let _programs = road.open().await?;
    let ids = road.sim.inbound(InboundMessage {
        name: Some("Begoña Núñez".to_owned()),
        ..InboundMessage::text("+56955501234", "Ayuda")
    });
    wait::until("the reply to be read", PATIENCE, async || {
        let read = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND status = 'read'";
        ensure!(road.count(read).await? == 1, "{:?}", road.rows("SELECT * FROM messages").await?);
        Ok(true)
    })
    .await?;

    let reply = road.sim.accepted_sends().remove(0);
    let (state, text) = (road.sim.accepted_sends().len(), reply.text.as_deref());
    assert_eq!((state, text, reply.to.as_deref()), (1, Some(REPLY), Some("56955501234")));
    assert_eq!(reply.conversation_id, ids.conversation_id);
    let marks = road.sim.accepted_marks();
    assert_eq!(marks.iter().map(|mark| &mark.message).collect::<Vec<_>>(), [&ids.message_id]);

    let columns = "id, conversation_id, contact_id, direction, type, body, status";
    let mut found = road.rows(&format!("SELECT {columns} FROM messages ORDER BY direction")).await?;
    let message = |id: &str, direction, body, status| {
        json!({
            "id": id, "conversation_id": ids.conversation_id, "contact_id": "56955501234",
            "direction": direction, "type": "text", "body": body, "status": status,
        })
    };
    assert_eq!(found.pop(), Some(message(&reply.message_id, "outbound", REPLY, "read")));
    assert_eq!(found.pop(), Some(message(&ids.message_id, "inbound", "Ayuda", "received")));
    assert!(found.is_empty());
    let in_order = "SELECT sent_at <= delivered_at AND delivered_at <= read_at AS it
                    FROM messages WHERE direction = 'outbound'";
    assert_eq!(road.row(in_order).await?["it"], true);
    let history = "SELECT status FROM message_statuses ORDER BY occurred_at,
                   array_position(ARRAY['sent', 'delivered', 'read'], status)";
    assert_eq!(road.texts(history).await?, ["sent", "delivered", "read"]);

    road.settled(2).await?;
    let effects =
        "SELECT kind, state, attempts, body, rule, outcome, sent_message_id FROM effects ORDER BY kind";
    assert_eq!(
        road.rows(effects).await?,
        [
            json!({
                "kind": "mark_read", "state": "done", "attempts": 1, "body": null, "rule": null, "outcome": "done",
                "sent_message_id": null,
            }),
            json!({
                "kind": "send_text", "state": "done", "attempts": 1, "body": REPLY, "rule": "ayuda",
                "outcome": "done", "sent_message_id": reply.message_id,
            }),
        ]
    );
    let attempts = "SELECT kind, attempt, http_status, finished_at >= started_at AS finished, a.outcome
                    FROM effect_attempts a JOIN effects ON id = effect_id ORDER BY kind";
    let attempt = |kind, http_status| json!({ "kind": kind, "attempt": 1, "http_status": http_status, "finished": true, "outcome": "done" });
    assert_eq!(road.rows(attempts).await?, [attempt("mark_read", 200), attempt("send_text", 201)]);

    // The reply itself says "ayuda": it must not be answered.
    road.nothing_lost().await?;
    holds("one reply", A_WHILE, async || Ok(road.sim.accepted_sends().len() == 1)).await
}

#[tokio::test]
async fn case_and_accents_do_not_count_and_others_are_only_marked() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let says = |from, text: &&str| road.sim.inbound(InboundMessage::text(number(from), *text));
    let asking =
        ["ayuda", "Necesito AYUDA, por favor", "¡Ayúda!", "Ａｙｕｄａ", "a\u{301}yuda", "ayudante\ny más"];
    let asked: Vec<_> = (0..).zip(&asking).map(|(from, text)| says(from, text)).collect();
    let other: Vec<_> =
        (10..).zip(&["Hola", "¿Qué tal?", "ayud a", "🙏"]).map(|(from, text)| says(from, text)).collect();
    let image = kapso_sim::Content::sample("image", "ayuda");
    let image = image.map(|image| road.sim.inbound(InboundMessage::new(number(20), image)));
    let marked: Vec<_> = asked.iter().chain(&other).chain(&image).collect();

    road.settled(marked.len() + asked.len()).await?;
    let answered: Vec<_> = asked.iter().map(|ids| ids.conversation_id.clone()).collect();
    let mut sends: Vec<_> = road.sim.accepted_sends().into_iter().map(|send| send.conversation_id).collect();
    sends.sort_by_key(|id| answered.iter().position(|asked| asked == id));
    assert_eq!(sends, answered);
    let mut marks: Vec<_> = road.sim.accepted_marks().into_iter().map(|mark| mark.message).collect();
    marks.sort_by_key(|id| marked.iter().position(|ids| ids.message_id == *id));
    assert_eq!(marks, marked.iter().map(|ids| ids.message_id.clone()).collect::<Vec<_>>());
    for ids in other.iter().chain(&image) {
        assert!(road.effect(&ids.message_id, "send_text").await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn late_is_not_helpful() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let young = road.aged(0, Duration::minutes(14));
    let late = road.aged(1, Duration::minutes(20));
    let ancient = road.aged(2, Duration::hours(25));
    road.settled(6).await?;

    assert_eq!(road.outcome(&young, "send_text").await?, is("done", "done"));
    let too_late = is("discarded", "the message is older than 15 minutes");
    assert_eq!(road.outcome(&late, "send_text").await?, too_late);
    assert_eq!(road.outcome(&late, "mark_read").await?, is("done", "done"));
    assert_eq!(road.outcome(&ancient, "send_text").await?, too_late);
    let ancient_mark = road.outcome(&ancient, "mark_read").await?;
    assert_eq!(ancient_mark, is("discarded", "the message is older than 1440 minutes"));
    let sent: Vec<_> = road.sim.accepted_sends().into_iter().map(|send| send.conversation_id).collect();
    assert_eq!(sent, [young.conversation_id]);
    let mut marked: Vec<_> = road.sim.accepted_marks().into_iter().map(|mark| mark.message).collect();
    marked.sort_by_key(|message| *message == late.message_id);
    assert_eq!(marked, [young.message_id, late.message_id]);
    Ok(())
}

/// A reply that was young enough when it was owed, and is not when its turn comes.
#[tokio::test]
async fn what_waited_too_long_is_not_sent() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_REPLY_MAX_AGE_SECONDS", "5");
    let _programs = road.open().await?;
    road.sim
        .fault(kapso_sim::Fault::next_send(kapso_sim::Outcome::Answer(kapso_sim::Reply::rate_limited(6))));
    let ids = road.asks(0);
    let reply = road.effect_becomes(&ids.message_id, "send_text", "discarded").await?;
    let why = reply.outcome.unwrap_or_default();
    assert!(why.starts_with("it became too old while it waited; HTTP 429"), "{why}");
    assert_eq!(reply.attempts, 1);
    road.effect_becomes(&ids.message_id, "mark_read", "done").await?;
    assert!(road.sim.accepted_sends().is_empty());
    Ok(())
}

async fn nothing_is_sent(variable: &str, value: &str, why: &str) -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set(variable, value);
    let [_ingest, worker] = road.open().await?;
    let ids = road.asks(0);
    road.settled(2).await?;
    let effects = "SELECT kind, state, attempts, body, outcome FROM effects ORDER BY kind";
    let effect = |kind, body: Value| json!({ "kind": kind, "state": "discarded", "attempts": 0, "body": body, "outcome": why });
    let recorded = [effect("mark_read", Value::Null), effect("send_text", json!(REPLY))];
    assert_eq!(road.rows(effects).await?, recorded);
    assert_eq!(road.texts("SELECT id FROM messages").await?, [ids.message_id]);
    assert!(worker.log().contains(why), "the log says so: {}", worker.log());
    holds("no call", A_WHILE, async || Ok(road.sim.calls().is_empty())).await
}

#[tokio::test]
async fn with_effects_off_what_would_have_been_sent_is_recorded() -> Result<()> {
    nothing_is_sent("BUZON_EFFECTS", "off", "BUZON_EFFECTS is off").await
}

#[tokio::test]
async fn without_a_token_what_would_have_been_sent_is_recorded() -> Result<()> {
    nothing_is_sent("KAPSO_API_TOKEN", "", "there is no KAPSO_API_TOKEN").await
}

/// Switched off over what is owed already: it is not sent, and not for ever.
#[tokio::test]
async fn with_effects_off_what_was_owed_before_becomes_too_old() -> Result<()> {
    let mut road = Road::new().await?;
    road.sim.fault(Fault::next_call(Outcome::Answer(Reply::rate_limited(600))).times(Times::Chance(1.0)));
    let [_ingest, mut worker] = road.open().await?;
    let ids = road.asks(0);
    wait::until("it to be owed", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM effects WHERE state = 'pending' AND lease IS NULL").await? == 2)
    })
    .await?;
    worker.terminate(PATIENCE).await?;
    road.stage.set("BUZON_EFFECTS", "off");
    let _worker = road.stage.worker().await?;
    let old = "UPDATE effects SET expires_at = now() - interval '1 second'";
    sqlx::query(old).execute(&road.pool).await?;
    for kind in ["send_text", "mark_read"] {
        let effect = road.effect_becomes(&ids.message_id, kind, "discarded").await?;
        ensure!(effect.outcome.as_deref().is_some_and(|why| why.contains("too old")), "{effect:?}");
    }
    Ok(())
}
