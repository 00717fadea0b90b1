//! The envelope as it lies in the queue, and the ways out of the exchange.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use lapin::types::{AMQPValue, FieldTable};
use sha2::{Digest as _, Sha256};

use crate::queue::{EVENTS, UNROUTED};
use crate::stage::Stage;

const KIND: &str = "whatsapp.message.received";

fn text<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a [u8]> {
    headers.inner().get(name)?.as_long_string().map(|text| text.as_bytes())
}

#[tokio::test]
async fn a_webhook_arrives_whole_and_with_nothing_it_should_not_carry() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let body = [b"{\"not\": \"text: ".as_slice(), &[0xff, 0, 0x1f], b"\"} ".as_slice()].concat();
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Webhook-Event", KIND),
        ("X-Idempotency-Key", "key-1"),
        ("X-Webhook-Batch", "true"),
        ("X-Batch-Size", "2"),
        ("X-Webhook-Payload-Version", "v2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("Authorization", "Bearer a-token"),
        ("Cookie", "session=a-token"),
        ("X-Custom", "a-token"),
    ];
    let answer = stage.post_signed(body.clone(), &headers).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.ends_with(&format!(r#""event_type":"{KIND}"}}"#)), "{}", answer.body);

    let message = stage.queue().await?.take(EVENTS).await?;
    assert_eq!(message.data, body);
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (EVENTS, KIND));
    let properties = &message.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.kind().as_ref().map(|kind| kind.as_str()), Some(KIND));
    let mut id = Sha256::new_with_prefix(u64::try_from(KIND.len())?.to_be_bytes());
    id.update(KIND);
    id.update(&body);
    let id = hex::encode(id.finalize());
    assert_eq!(properties.message_id().as_ref().map(|id| id.as_str()), Some(id.as_str()));

    let sent = properties.headers().as_ref().context("headers")?;
    let received_ms = sent.inner().get("buzon-received-ms").and_then(AMQPValue::as_long_long_int);
    let received_ms = u128::try_from(received_ms.context("when it was received")?)?;
    assert!(received_ms >= before.as_millis() && received_ms <= before.as_millis() + 10_000);
    assert_eq!(properties.timestamp().map(u128::from), Some(received_ms / 1000));
    assert_eq!(sent.inner().get("buzon-version").and_then(AMQPValue::as_long_int), Some(1));
    assert_eq!(text(sent, "buzon-verified-by"), Some(b"secret:0".as_slice()));
    for (name, value) in &headers[..7] {
        assert_eq!(text(sent, &name.to_lowercase()), Some(value.as_bytes()), "{name}");
    }
    // A quorum queue adds a count of its own to what it hands out.
    let names = sent.inner().keys().filter(|name| name.as_str() != "x-delivery-count");
    assert_eq!(names.count(), 10, "more than the allowed headers: {sent:?}");
    Ok(())
}

#[tokio::test]
async fn a_kind_is_a_routing_key_for_everybody() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    queue.bind_own("crm", "contact.*").await?;
    for kind in ["contact.created", "message.received"] {
        assert_eq!(stage.post_signed(format!(r#"{{"event_type":"{kind}"}}"#), &[]).await?.status, 200);
    }
    let own = queue.take_all("crm").await?;
    let keys: Vec<_> = own.iter().map(|message| message.routing_key.as_str()).collect();
    assert_eq!(keys, ["contact.created"]);
    assert_eq!(queue.take_all(EVENTS).await?.len(), 2, "ours gets everything");
    Ok(())
}

/// Whatever a kind is made of, the webhook is kept, and the connection it goes over stays up.
#[tokio::test]
async fn odd_kinds_and_bodies_are_kept() -> Result<()> {
    let stage = Stage::new().await?;
    let ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    let long = "ñ".repeat(400);
    let kinds = [long.as_str(), "#", "*", ".", "..", " ", "a b", "\\u0000", "\\n\\u001b[31m", "😊"];
    for kind in kinds {
        let body = format!(r#"{{"event_type":"{kind}"}}"#);
        assert_eq!(stage.post_signed(body.clone(), &[]).await?.status, 200, "{kind}");
        assert_eq!(queue.take(EVENTS).await?.data, body.as_bytes());
    }
    for body in ["[]", "7", "not JSON", "{\"event_type\":{}}", "\0"] {
        let answer = stage.post_signed(body, &[]).await?;
        assert!(answer.body.ends_with(r#""event_type":"unknown"}"#), "{body}: {}", answer.body);
        assert_eq!(queue.take(EVENTS).await?.routing_key.as_str(), "unknown");
    }
    assert_eq!(ingest.log().matches("connected to RabbitMQ").count(), 1, "{}", ingest.log());
    Ok(())
}

#[tokio::test]
async fn what_no_queue_takes_goes_to_the_unrouted() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    queue.delete(EVENTS).await?;
    let body = r#"{"event_type":"message.received","nobody":"takes me"}"#;
    assert_eq!(stage.post_signed(body, &[]).await?.status, 200);
    assert_eq!(queue.take(UNROUTED).await?.data, body.as_bytes());
    Ok(())
}

#[tokio::test]
async fn what_can_go_nowhere_is_kept_and_the_queues_come_back() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    for name in [EVENTS, UNROUTED] {
        queue.delete(name).await?;
    }
    let bodies = [r#"{"event_type":"a.lost"}"#, r#"{"event_type":"a.found"}"#];
    assert_eq!(stage.post_signed(bodies[0], &[]).await?.status, 200);
    stage.figure_becomes("buzon_webhooks_spooled_total", 1.0).await?;

    // The connection is replaced, and the topology declared anew.
    assert_eq!(stage.post_signed(bodies[1], &[]).await?.status, 200);
    stage.bodies_arrive(bodies.map(str::to_owned).into()).await
}
