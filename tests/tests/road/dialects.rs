//! The whole road in each of Kapso's dialects, with each of its APIs: one message, one reply,
//! one mark where the API can be told, and one row for what three statuses told.

use anyhow::{Context, Result, ensure};
use harness::wait;
use kapso_sim::{Action, Dialect, Fault, InboundMessage, Outcome, Reply, SimConfig, Statuses, Times};
use serde_json::json;
use time::OffsetDateTime;

use crate::scene::{A_WHILE, PATIENCE, REPLY, Road, holds, kapso};

/// Which of Kapso's APIs the worker is pointed to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    Conversation,
    /// For replies; marks go by the Meta proxy where they can't go there.
    Both,
    MetaProxy,
}

async fn road_in(dialect: Dialect, api: Api) -> Result<Road> {
    let mut road = Road::beside(SimConfig { dialect, statuses: Statuses::default(), ..kapso() }).await?;
    match api {
        Api::Conversation => {}
        Api::Both => road.stage.set("KAPSO_META_PROXY_URL", road.sim.meta_proxy_url()),
        Api::MetaProxy => road.stage.set("KAPSO_API_BASE_URL", road.sim.meta_proxy_url()),
    }
    Ok(road)
}

/// A message in, and all that follows. How the mark ended.
async fn walked(dialect: Dialect, api: Api) -> Result<String> {
    let road = road_in(dialect, api).await?;
    let _programs = road.open().await?;
    let ids = road.sim.inbound(InboundMessage {
        name: Some("Begoña Núñez".to_owned()),
        ..InboundMessage::text("+56955501234", "Necesito AYUDA")
    });
    wait::until("the reply to be read", PATIENCE, async || {
        let read = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND status = 'read'";
        ensure!(road.count(read).await? == 1, "{:?}", road.rows("SELECT * FROM messages").await?);
        Ok(true)
    })
    .await?;
    road.all_answered().await?;

    let sends = road.sim.accepted_sends();
    ensure!(sends.len() == 1, "{sends:?}");
    assert_eq!((sends[0].text.as_deref(), sends[0].to.as_deref()), (Some(REPLY), Some("56955501234")));
    let rows = "SELECT id, direction, type, body, status, contact_id FROM messages ORDER BY direction";
    let found = road.rows(rows).await?;
    ensure!(found.len() == 2, "{found:?}");
    let column = |row: usize, name: &str| found[row][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(column(0, "id"), ids.wamid);
    assert_eq!(
        (column(0, "body"), column(0, "status")),
        ("Necesito AYUDA".to_owned(), "received".to_owned())
    );
    assert_eq!(column(1, "id"), sends[0].wamid);
    assert_eq!((column(1, "body"), column(1, "status")), (REPLY.to_owned(), "read".to_owned()));
    let contacts = road.rows("SELECT phone_number, name FROM contacts").await?;
    ensure!(contacts.len() == 1, "{contacts:?}");
    assert_eq!(
        (contacts[0]["phone_number"].as_str(), contacts[0]["name"].as_str()),
        (Some("56955501234"), Some("Begoña Núñez"))
    );
    assert_eq!(road.count("SELECT count(*) FROM message_statuses").await?, 3);
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 0);
    road.effect_becomes(&ids.wamid, "send_text", "done").await?;
    wait::until("the mark to be settled", PATIENCE, async || {
        let mark = road.effect(&ids.wamid, "mark_read").await?;
        ensure!(mark.state != "pending", "{mark:?}");
        ensure!((mark.state == "done") == (road.sim.accepted_marks().len() == 1), "{mark:?}");
        Ok(Some(mark.state))
    })
    .await
}

#[tokio::test]
async fn kapsos_first_dialect_and_the_conversation_api() -> Result<()> {
    assert_eq!(walked(Dialect::V1, Api::Conversation).await?, "done");
    Ok(())
}

#[tokio::test]
async fn kapsos_first_dialect_and_the_meta_proxy() -> Result<()> {
    assert_eq!(walked(Dialect::V1, Api::MetaProxy).await?, "done");
    Ok(())
}

#[tokio::test]
async fn kapsos_second_dialect_and_the_meta_proxy() -> Result<()> {
    assert_eq!(walked(Dialect::V2, Api::MetaProxy).await?, "done");
    Ok(())
}

/// What `worker webhook register` and the guide's settings come to: the conversation API, and v2.
#[tokio::test]
async fn kapsos_second_dialect_and_both_apis() -> Result<()> {
    assert_eq!(walked(Dialect::V2, Api::Both).await?, "done");
    Ok(())
}

/// Its events do not give the id by which that API marks: the refusal is on record.
#[tokio::test]
async fn kapsos_second_dialect_and_the_conversation_api() -> Result<()> {
    assert_eq!(walked(Dialect::V2, Api::Conversation).await?, "discarded");
    Ok(())
}

#[tokio::test]
async fn batches_and_the_meta_proxy() -> Result<()> {
    assert_eq!(walked(Dialect::V2Batch, Api::MetaProxy).await?, "done");
    Ok(())
}

#[tokio::test]
async fn metas_dialect_and_the_meta_proxy() -> Result<()> {
    assert_eq!(walked(Dialect::Meta, Api::MetaProxy).await?, "done");
    Ok(())
}

/// Two dialects are configured for one number, and what comes first names neither a conversation nor Kapso's id, by
/// which alone the conversation API can be told. The other makes up for it.
#[tokio::test]
async fn what_the_first_dialect_can_not_address_the_second_can() -> Result<()> {
    let road = road_in(Dialect::V1, Api::Conversation).await?;
    let _programs = road.open().await?;
    // Nobody listens there: Kapso's own webhook is handed in below, once Meta's has been projected.
    road.sim.set_webhook_url("http://127.0.0.1:9/");
    let ids = road.sim.inbound(InboundMessage::text("+56955501234", "Necesito ayuda"));
    let meta = json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "1", "phone_number_id": road.sim.line().phone_number_id },
            "contacts": [{ "profile": { "name": "Begoña" }, "wa_id": "56955501234" }],
            "messages": [{
                "id": ids.wamid, "from": "56955501234", "type": "text", "text": { "body": "Necesito ayuda" },
                "timestamp": OffsetDateTime::now_utc().unix_timestamp().to_string(),
            }],
        } }] }],
    });
    let answer = road.stage.post_signed(meta.to_string()).await?;
    ensure!(answer.status() == 200, "{answer:?}");
    for kind in ["send_text", "mark_read"] {
        let refused = road.effect_becomes(&ids.wamid, kind, "discarded").await?;
        ensure!(
            refused.outcome.as_deref().is_some_and(|why| why.contains("conversation API")),
            "{refused:?}"
        );
    }
    let delivery = road.sim.deliveries().pop().context("Kapso's own webhook")?;
    let answer = road.stage.post_signed(delivery.body).await?;
    ensure!(answer.status() == 200, "{answer:?}");
    for kind in ["send_text", "mark_read"] {
        let effect = road.effect_becomes(&ids.wamid, kind, "done").await?;
        assert_eq!(effect.attempts, 1);
    }
    let (sends, marks) = (road.sim.accepted_sends(), road.sim.accepted_marks());
    assert_eq!((sends.len(), marks.len()), (1, 1));
    assert_eq!(sends[0].conversation_id, ids.conversation_id);
    assert_eq!(marks[0].message, ids.message_id);
    Ok(())
}

const HELD: &str = "SELECT count(*) FROM api_keys WHERE hold IS NOT NULL";

/// The two APIs have a token in common, and how often it may call; that one of them fails says nothing of the other.
async fn replies_go_on_while_marks_fail(answer: Reply) -> Result<()> {
    let road = road_in(Dialect::V2, Api::Both).await?;
    road.sim.fault(Fault::next_mark(Outcome::Answer(answer)).times(Times::Chance(1.0)));
    let _programs = road.open().await?;
    let mut asked = road.ask(0..8);
    wait::until("marks to be held", PATIENCE, async || -> Result<bool> { Ok(road.count(HELD).await? == 1) })
        .await?;
    asked.extend(road.ask(8..10));
    for ids in &asked {
        road.reply_becomes(ids, "done").await?;
    }
    let marks = || road.sim.calls().iter().filter(|call| call.action == Action::Mark).count();
    let before = marks();
    tokio::time::sleep(A_WHILE).await;
    ensure!(marks() <= before + 3, "{before} marks were asked for, and then {}", marks());
    assert_eq!(road.count(HELD).await?, 1);
    assert_eq!(road.sim.accepted_sends().len(), 10);
    Ok(())
}

#[tokio::test]
async fn replies_go_on_while_the_proxy_refuses_the_token() -> Result<()> {
    replies_go_on_while_marks_fail(Reply::wrong_token()).await
}

#[tokio::test]
async fn replies_go_on_while_the_proxy_is_down() -> Result<()> {
    replies_go_on_while_marks_fail(Reply::cloudflare(502)).await
}

/// And marks go on while replies fail; that a mark works is no sign that a reply would.
#[tokio::test]
async fn marks_go_on_while_replies_are_held() -> Result<()> {
    let road = road_in(Dialect::V2, Api::Both).await?;
    road.sim.fault(Fault::next_send(Outcome::Answer(Reply::server_error(503))).times(Times::Chance(1.0)));
    let _programs = road.open().await?;
    let mut asked = road.ask(0..8);
    wait::until("replies to be held", PATIENCE, async || -> Result<bool> {
        Ok(road.count(HELD).await? == 1)
    })
    .await?;
    asked.extend(road.ask(8..16));
    wait::until("all marks", PATIENCE, async || {
        Ok::<_, anyhow::Error>(road.sim.accepted_marks().len() == 16)
    })
    .await?;
    let sends = || road.sim.calls().iter().filter(|call| call.action == Action::Send).count();
    let before = sends();
    holds("held", A_WHILE, async || Ok(road.count(HELD).await? == 1)).await?;
    ensure!(sends() <= before + 3, "{before} replies were asked for, and then {}", sends());
    road.sim.clear_faults();
    for ids in &asked {
        road.reply_becomes(ids, "done").await?;
    }
    assert_eq!(road.count(HELD).await?, 0);
    Ok(())
}

/// A 429 is for both.
#[tokio::test]
async fn the_limit_of_the_proxy_is_that_of_the_key() -> Result<()> {
    let road = road_in(Dialect::V2, Api::Both).await?;
    road.sim.fault(Fault::next_mark(Outcome::Answer(Reply::rate_limited(4))));
    let _programs = road.open().await?;
    let first = road.sim.inbound(InboundMessage::text("+56955501234", "Hola"));
    wait::until("the limit", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM api_keys WHERE limited_until > now()").await? == 1)
    })
    .await?;
    let asked = road.asks(1);
    holds("nothing sent", std::time::Duration::from_secs(2), async || Ok(road.sends_asked(&asked) == 0))
        .await?;
    road.reply_becomes(&asked, "done").await?;
    road.effect_becomes(&first.wamid, "mark_read", "done").await?;
    Ok(())
}
