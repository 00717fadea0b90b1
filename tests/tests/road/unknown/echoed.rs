//! Our id comes back in a status: no listing is asked for.

use anyhow::{Result, ensure};
use kapso_sim::{Dialect, Outcome, Statuses};
use serde_json::json;

use super::scene::Style;
use crate::scene::{A_WHILE, Road, holds};

#[tokio::test]
async fn an_echo_settles_a_reply_and_nothing_is_listed() -> Result<()> {
    for dialect in [Dialect::Meta, Dialect::V2] {
        let road = Road::of(Style::Proxy, dialect, Statuses::default()).await?;
        let _programs = road.open().await?;
        let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
        let effect = road.went_out(&ids, "echoes its id").await?;
        assert_eq!((effect.attempts, road.sent().len(), road.listings().len()), (1, 1, 0), "{dialect:?}");
        assert_eq!(road.sent_message_ids().await?, [(effect.id, Some(road.sent()[0].wamid.clone()))]);
        let attempts = "SELECT http_status, effect_attempts.outcome FROM effect_attempts
            JOIN effects ON id = effect_id WHERE kind = 'send_text'";
        let attempt = road.row(attempts).await?;
        ensure!(attempt["http_status"].is_null() && attempt["outcome"] != "done", "{attempt}");
        road.one_message_each().await?;
        // What comes later in the lane goes on.
        let next = road.asks(0);
        road.reply_becomes(&next, "done").await?;
        assert_eq!(road.sent().len(), 2);
    }
    Ok(())
}

/// A status of somebody else's message that names our effect, one that names a mark, and one from before.
#[tokio::test]
async fn an_echo_in_another_lane_or_of_no_reply_settles_nothing() -> Result<()> {
    let road = Road::of(Style::Proxy, Dialect::Meta, Statuses::NONE).await?;
    let _programs = road.open().await?;
    road.lists_nothing();
    let ids = road.asks_in_vain(0, Outcome::Cut);
    let reply = road.reply_becomes(&ids, "unknown").await?;
    let mark = road.effect(&ids.wamid, "mark_read").await?;
    let before = serde_json::to_value(&road.row("SELECT extract(epoch FROM now())::bigint AS now").await?)?;
    let now = before["now"].as_i64().unwrap_or_default();
    for (name, effect, recipient, at) in [
        ("wamid.other-lane", reply.id, "56955559999", now + 1),
        ("wamid.of-a-mark", mark.id, "56955510000", now + 1),
        ("wamid.of-nothing", 987_654, "56955510000", now + 1),
        ("wamid.before", reply.id, "56955510000", now - 3600),
    ] {
        let line = road.sim.line();
        let status = json!({
            "id": name, "status": "sent", "timestamp": at.to_string(), "recipient_id": recipient,
            "biz_opaque_callback_data": format!("buzon:effect:{effect}"),
        });
        let value = json!({
            "messaging_product": "whatsapp", "statuses": [status],
            "metadata": { "display_phone_number": line.number, "phone_number_id": line.phone_number_id },
        });
        let change = json!({ "field": "messages", "value": value });
        let body = json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": line.business_account_id, "changes": [change] }],
        });
        road.sim.send_webhook("messages", body.to_string());
    }
    road.nothing_lost().await?;
    let echoes = "SELECT count(*) FROM messages WHERE callback_data IS NOT NULL";
    assert_eq!(road.count(echoes).await?, 4);
    holds("unknown", A_WHILE, async || Ok(road.reply_to(&ids).await?.state == "unknown")).await?;
    assert_eq!(road.effect(&ids.wamid, "mark_read").await?.outcome, mark.outcome);
    Ok(())
}
