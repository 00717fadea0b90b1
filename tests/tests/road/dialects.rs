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

/// The two APIs have a key in common, and how often it may call; that one of them fails says nothing of the other.
///
/// `failures`: so many, and an API of its own would be left alone.
async fn replies_go_on_while_marks_fail(answer: Reply, failures: i64) -> Result<()> {
    let road = road_in(Dialect::V2, Api::Both).await?;
    road.sim.fault(Fault::next_mark(Outcome::Answer(answer)).times(Times::Chance(1.0)));
    let _programs = road.open().await?;
    let mut asked = road.ask(0..8);
    for ids in &asked {
        road.reply_becomes(ids, "done").await?;
    }
    wait::until("marks to fail", PATIENCE, async || -> Result<bool> {
        let failed =
            "SELECT count(*) FROM effect_attempts WHERE finished_at IS NOT NULL AND http_status >= 400";
        Ok(road.count(failed).await? >= failures)
    })
    .await?;
    asked.extend(road.ask(8..10));
    for ids in &asked {
        road.reply_becomes(ids, "done").await?;
    }
    assert_eq!(road.count("SELECT count(*) FROM api_keys WHERE hold IS NOT NULL OR failures > 0").await?, 0);
    assert_eq!(road.sim.accepted_sends().len(), 10);
    Ok(())
}

#[tokio::test]
async fn replies_go_on_while_the_proxy_refuses_the_token() -> Result<()> {
    replies_go_on_while_marks_fail(Reply::wrong_token(), 8).await
}

#[tokio::test]
async fn replies_go_on_while_the_proxy_is_down() -> Result<()> {
    replies_go_on_while_marks_fail(Reply::server_error(503), 14).await
}

/// And a mark that works is no sign that replies would: the key stays held, and replies are what is probed with.
#[tokio::test]
async fn marks_that_work_do_not_let_replies_go() -> Result<()> {
    let road = road_in(Dialect::V2, Api::Both).await?;
    road.sim.fault(Fault::next_send(Outcome::Answer(Reply::server_error(503))).times(Times::Chance(1.0)));
    let _programs = road.open().await?;
    let asked = road.ask(0..8);
    const HELD: &str = "SELECT count(*) FROM api_keys WHERE hold = 'failing'";
    wait::until("the key to be held", PATIENCE, async || -> Result<bool> {
        Ok(road.count(HELD).await? == 1)
    })
    .await?;
    let sends = || road.sim.calls().iter().filter(|call| call.action == Action::Send).count();
    let before = sends();
    holds("held", A_WHILE, async || Ok(road.count(HELD).await? == 1)).await?;
    // The first probes are a second or two apart.
    ensure!(sends() > before, "no reply was probed with");
    road.sim.clear_faults();
    for ids in &asked {
        road.reply_becomes(ids, "done").await?;
    }
    Ok(())
}
