//! The customer's guide, word for word: its requests, its answers, its log.

use anyhow::Result;

use crate::queue::EVENTS;
use crate::stage::{SECRET, Stage, answered};

/// "Opción 2: Testing Manual con curl": what curl sends for that `-d`.
const CURL_BODY: &str = r#"{
    "event_type": "message.received",
    "conversation_id": "test-conv-123",
    "message_id": "test-msg-456",
    "payload": {
      "from": "+56912345678",
      "content": "Hola desde test",
      "message_type": "text"
    }
  }"#;

/// "Opción 3": what Python's `json.dumps(payload)` gives, and the signature that the guide's program prints for it.
const PYTHON_BODY: &str = r#"{"event_type": "message.received", "conversation_id": "test-conv-123", "payload": {"from": "+56912345678", "content": "Test"}}"#;
const PYTHON_SIGNATURE: &str = "f9342f0fceb49877af1f69f289c2b19e1524674eca8a35733efaaa1599f6ce29";

const EXPECTED: &str =
    r#"{"status":"ok","message":"Webhook processed successfully","event_type":"message.received"}"#;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn the_unsigned_curl_works_in_development() -> Result<()> {
    let stage = Stage::new().await?.in_development();
    let ingest = stage.ingest().await?;
    let answer = stage.post(CURL_BODY, &[JSON]).await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, EXPECTED));
    assert_eq!(stage.queue().await?.take(EVENTS).await?.data, CURL_BODY.as_bytes());

    let event = &answered(&ingest, 200, 1).await?[0];
    assert_eq!(event["level"], "WARN");
    assert_eq!(event["signature"], "not configured");
    let message = event["message"].as_str().unwrap_or_default();
    assert!(message.contains("KAPSO_WEBHOOK_SECRET not configured"), "{message}");
    Ok(())
}

#[tokio::test]
async fn the_python_signed_request_works() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let answer = stage.post(PYTHON_BODY, &[JSON, ("X-Kapso-Signature", PYTHON_SIGNATURE)]).await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, EXPECTED));
    assert_eq!(answer.media_type, "application/json");
    Ok(())
}

#[tokio::test]
async fn a_wrong_and_a_missing_signature_get_the_guides_words() -> Result<()> {
    let stage = Stage::new().await?;
    let ingest = stage.ingest().await?;
    let wrong = stage.post(PYTHON_BODY, &[JSON, ("X-Kapso-Signature", &"ab".repeat(32))]).await?;
    assert_eq!((wrong.status, wrong.detail().as_str()), (401, "Invalid webhook signature"));
    let missing = stage.post(PYTHON_BODY, &[JSON]).await?;
    assert_eq!((missing.status, missing.detail().as_str()), (401, "Missing X-Kapso-Signature header"));
    for answer in [wrong, missing] {
        assert_eq!(answer.media_type, "application/problem+json");
    }
    let queued = stage.queue().await?.take_all(EVENTS).await?;
    assert!(queued.is_empty(), "a refused webhook was queued");

    let told = answered(&ingest, 401, 2).await?;
    let (wrong, missing) = (&told[0], &told[1]);
    assert_eq!((&wrong["level"], &wrong["signature"]), (&"WARN".into(), &"invalid".into()));
    assert_eq!((&missing["level"], &missing["signature"]), (&"WARN".into(), &"missing".into()));
    Ok(())
}

#[tokio::test]
async fn the_log_says_what_the_guides_does_and_nothing_personal() -> Result<()> {
    let stage = Stage::new().await?;
    let ingest = stage.ingest().await?;
    let guide = r#"{"event_type":"message.received","conversation_id":"conv-123","message_id":"msg-456",
        "payload":{"from":"+56912345678","content":"Hola, necesito ayuda"}}"#;
    let kapso = r#"{"message":{"id":"wamid.HBgLNTY5MTIzNDU2NzgVAgASGBQzQUExMTA","text":{"body":"Hola"}},
        "conversation":{"id":"5e003dde-1a02-4002-900e-0c4d00033232","phone_number":"+56912345678"}}"#;
    let kind = "whatsapp.message.received";
    assert_eq!(stage.post_signed(guide, &[("X-Forwarded-For", "6.6.6.6, 34.211.200.85")]).await?.status, 200);
    assert_eq!(stage.post_signed(kapso, &[("X-Webhook-Event", kind)]).await?.status, 200);

    let told = answered(&ingest, 200, 2).await?;
    let log = ingest.log();
    for secret in ["56912345678", "Hola", SECRET, "NTY5MTIzNDU2Nzg"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    let (guide, kapso) = (&told[0], &told[1]);
    assert_eq!(guide["level"], "INFO");
    assert_eq!(guide["client.ip"], "127.0.0.1");
    assert_eq!(guide["client.forwarded_for"], "34.211.200.85");
    assert_eq!(guide["signature"], "valid");
    assert_eq!(guide["event.kind"], "message.received");
    assert_eq!(guide["conversation.id"], "conv-123");
    assert_eq!(guide["message.id"], "msg-456");
    assert_eq!(kapso["event.kind"], kind);
    assert_eq!(kapso["conversation.id"], "5e003dde-1a02-4002-900e-0c4d00033232");
    assert_eq!(kapso["message.id"], "wamid.…zQUExMTA");
    Ok(())
}
