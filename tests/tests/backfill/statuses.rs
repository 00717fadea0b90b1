//! How far our messages got, and media whose address is another in each listing.

use anyhow::{Result, ensure};
use kapso_sim::story::Status;
use kapso_sim::{Content, Fault, InboundMessage, Outcome};
use serde_json::{Value, json};

use harness::{stage::SECRET, wait};

use crate::scene::{PATIENCE, STYLES, Scene, Style, TOKEN, holds, number};

/// A person writes in Kapso's inbox: a send that no effect of ours asked for. WhatsApp's name of it.
async fn writes_by_hand(scene: &Scene, conversation: &str) -> Result<String> {
    let url = format!(
        "{}/whatsapp_conversations/{conversation}/whatsapp_messages",
        scene.sim.conversation_api_url()
    );
    let body = json!({ "message": { "content": "Le escribo yo", "message_type": "text" } });
    let client = harness_client()?;
    let answer = client.post(url).header("X-API-Key", TOKEN).json(&body).send().await?;
    ensure!(answer.status() == 201, "{}", answer.status());
    let sent = scene.sim.accepted_sends().pop();
    Ok(sent.map(|sent| sent.wamid).unwrap_or_default())
}

fn harness_client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

async fn status(scene: &Scene) -> Result<Value> {
    let rows = "SELECT status, body, direction, sent_at IS NOT NULL AS sent FROM messages WHERE direction = 'outbound'";
    Ok(Value::Array(scene.rows(rows).await?))
}

#[tokio::test]
async fn statuses_that_never_came_are_caught_up_with() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        scene.sim.clear_webhook_url();
        let ids = scene.asks_unheard(0);
        let wamid = writes_by_hand(&scene, &ids.conversation_id).await?;
        assert!(scene.sim.change_status(&wamid, Status::Sent, None));
        assert!(scene.sim.change_status(&wamid, Status::Delivered, None));
        let first = scene.report(&["--since", "1h"]).await?;
        assert_eq!((&first["stored"], &first["missing_inbound"]), (&json!(2), &json!(1)), "{style:?}");
        // The conversation API lists the last state alone.
        let whole = style == Style::Proxy;
        let expected = |status: &str| json!([{ "status": status, "body": "Le escribo yo", "direction": "outbound", "sent": whole }]);
        assert_eq!(status(&scene).await?, expected("delivered"), "{style:?}");

        assert!(scene.sim.change_status(&wamid, Status::Read, None));
        let dry = scene.report(&["--since", "1h", "--dry-run"]).await?;
        assert_eq!((&dry["behind"], &dry["missing"]), (&json!(1), &json!(0)));
        assert_eq!(dry["found"][0]["lacks"], "status");
        let second = scene.report(&["--since", "1h"]).await?;
        assert_eq!((&second["advanced"], &second["stored"]), (&json!(1), &json!(0)));
        assert_eq!(status(&scene).await?, expected("read"), "{style:?}");
        let third = scene.report(&["--since", "1h"]).await?;
        assert_eq!((&third["known"], &third["behind"]), (&json!(2), &json!(0)));
        assert_eq!(scene.backfilled().await?, 3);
        assert_eq!(scene.count("SELECT count(*) FROM effects").await?, 0);
    }
    Ok(())
}

/// A webhook told of a message, and left out what it says.
#[tokio::test]
async fn a_text_that_its_webhook_left_out_is_caught_up_with() -> Result<()> {
    let scene = Scene::new(Style::Proxy).await?;
    let _programs = tokio::try_join!(scene.stage.ingest(), scene.stage.worker())?;
    let ids = scene.asks_unheard(0);
    let phone = number(0).trim_start_matches('+').to_owned();
    let told = json!({
        "message": {
            "id": &ids.wamid,
            "timestamp": kapso_sim::now().unix_timestamp().to_string(),
            "type": "text",
            "from": &phone,
            "kapso": { "direction": "inbound", "status": "received" },
        },
        "conversation": { "id": &ids.conversation_id, "phone_number": &phone },
        "phone_number_id": scene.sim.line().phone_number_id,
    });
    let told = serde_json::to_vec(&told)?;
    let signature = harness::sign::hex(SECRET, &told)?;
    let headers = [("X-Webhook-Event", "whatsapp.message.received"), ("X-Webhook-Signature", &*signature)];
    ensure!(scene.stage.post(told, &headers).await?.status() == 200, "the webhook is taken");
    let stored = "SELECT COALESCE(body, '') FROM messages WHERE occurred_at IS NOT NULL";
    wait::until("the message without its text", PATIENCE, async || {
        Ok::<_, anyhow::Error>(scene.texts(stored).await? == [""])
    })
    .await?;

    let dry = scene.report(&["--since", "1h", "--dry-run"]).await?;
    assert_eq!((&dry["behind"], &dry["missing"]), (&json!(1), &json!(0)));
    assert_eq!(dry["found"][0]["lacks"], "text");
    let done = scene.report(&["--since", "1h"]).await?;
    assert_eq!((&done["advanced"], &done["stored"]), (&json!(1), &json!(0)));
    assert_eq!(scene.texts(stored).await?, ["Necesito ayuda"]);
    assert_eq!(scene.report(&["--since", "1h"]).await?["known"], 1);
    Ok(())
}

/// The same item with another address is not another webhook.
#[tokio::test]
async fn media_signed_anew_is_no_news() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        for kind in ["image", "audio", "document"] {
            let content = Content::sample(kind, "mira");
            let content = content.ok_or_else(|| anyhow::anyhow!("a sample"))?;
            let _ids = scene
                .sim
                .inbound(InboundMessage { lost: true, ..InboundMessage::new("+56955510001", content) });
        }
        assert_eq!(scene.report(&["--since", "1h"]).await?["stored"], 3);
        for _ in 0..2 {
            let again = scene.report(&["--since", "1h"]).await?;
            assert_eq!((&again["known"], &again["stored"]), (&json!(3), &json!(0)), "{style:?}");
        }
        assert_eq!(scene.backfilled().await?, 3);
        let with_media = "SELECT count(*) FROM messages WHERE media ->> 'url' LIKE '%signature=%'";
        assert_eq!(scene.count(with_media).await?, 3, "{style:?}");
    }
    Ok(())
}

/// Nobody knows whether the reply went out, and Kapso lists it: it is a message of ours, and that settles the effect.
#[tokio::test]
async fn a_reply_of_unknown_outcome_is_stored_and_not_repeated() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        let _programs = tokio::try_join!(scene.stage.ingest(), scene.stage.worker())?;
        scene.sim.fault(Fault::next_send(Outcome::AcceptThenCut));
        let _ids = scene.asks(0);
        let unknown = "SELECT count(*) FROM effects WHERE kind = 'send_text' AND state = 'unknown'";
        wait::until("the reply to be unknown", PATIENCE, async || {
            Ok::<_, anyhow::Error>(scene.count(unknown).await? == 1)
        })
        .await?;
        let done = scene.report(&["--since", "1h"]).await?;
        assert_eq!((&done["stored"], &done["missing_inbound"]), (&json!(1), &json!(0)), "{style:?}");
        assert_eq!(scene.count("SELECT count(*) FROM messages WHERE direction = 'outbound'").await?, 1);
        let settled =
            "SELECT count(*) FROM effects WHERE kind = 'send_text' AND state = 'done' AND attempts = 1";
        wait::until("the reply to be done", PATIENCE, async || {
            Ok::<_, anyhow::Error>(scene.count(settled).await? == 1)
        })
        .await?;
        holds("it is not sent again", async || {
            Ok(scene.sim.accepted_sends().len() == 1 && scene.count(settled).await? == 1)
        })
        .await?;
    }
    Ok(())
}
