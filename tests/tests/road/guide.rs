//! Every event of the customer's guide, and what people's queries then find.

use anyhow::{Result, ensure};
use harness::wait;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::scene::{PATIENCE, Road, figure};

const FIXTURES: [(&str, &[u8]); 10] = [
    ("message.received", include_bytes!("../../fixtures/payloads/guide/message.received.text.json")),
    ("message.received", include_bytes!("../../fixtures/payloads/guide/message.received.ayuda.json")),
    ("message.received", include_bytes!("../../fixtures/payloads/guide/message.received.image.json")),
    ("message.received", include_bytes!("../../fixtures/payloads/guide/message.received.audio.json")),
    ("message.sent", include_bytes!("../../fixtures/payloads/guide/message.sent.json")),
    ("message.delivered", include_bytes!("../../fixtures/payloads/guide/message.delivered.json")),
    ("message.read", include_bytes!("../../fixtures/payloads/guide/message.read.json")),
    ("message.failed", include_bytes!("../../fixtures/payloads/guide/message.failed.json")),
    (
        "conversation.status_changed",
        include_bytes!("../../fixtures/payloads/guide/conversation.status_changed.json"),
    ),
    ("contact.created", include_bytes!("../../fixtures/payloads/guide/contact.created.json")),
];

/// The guide shows no `contact.updated`; this one is in the style of its neighbours.
const CONTACT_UPDATED: &[u8] = r#"{"event_type":"contact.updated","timestamp":"2025-03-13T08:00:00Z","payload":{"contact":{"id":"ctc_7703","phone_number":"+56955507777","display_name":"Tomás Ñ."}}}"#
    .as_bytes();

/// "Opción 2: Testing Manual con curl".
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

/// "Opción 3", as Python writes it.
const PYTHON_BODY: &str = r#"{"event_type": "message.received", "conversation_id": "test-conv-123", "payload": {"from": "+56912345678", "content": "Test"}}"#;

const MESSAGE: &str = "id, conversation_id, contact_id, phone_number_id, direction, origin, type, body, media, context, content, \
     occurred_at, status, sent_at, delivered_at, read_at, failed_at, error";

impl Road {
    async fn take(&self, body: &[u8], headers: &[(&str, &str)]) -> Result<Value> {
        let signature = harness::sign::hex(harness::stage::SECRET, body)?;
        let headers = [&[("X-Kapso-Signature", signature.as_str())], headers].concat();
        let answer = self.stage.post(body, &headers).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(answer.json().await?)
    }

    async fn archived(&self, webhooks: i64) -> Result<()> {
        wait::until("the archive", PATIENCE, async || {
            let found = self.count("SELECT count(*) FROM webhooks").await?;
            ensure!(found == webhooks, "{found} webhooks");
            Ok(true)
        })
        .await
    }
}

fn webhook_id(kind: &str, body: &[u8]) -> String {
    let hash = Sha256::new().chain_update((kind.len() as u64).to_be_bytes()).chain_update(kind);
    hex::encode(hash.chain_update(body).finalize())
}

/// Nothing is sent: these events are old, or about nobody that the simulator knows.
async fn quiet_road() -> Result<Road> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_EFFECTS", "off");
    Ok(road)
}

#[tokio::test]
async fn every_event_has_its_visible_result() -> Result<()> {
    let road = quiet_road().await?;
    let _programs = road.open().await?;
    let json = ("Content-Type", "application/json");
    for (kind, body) in FIXTURES {
        let answer = road.take(body, &[json]).await?;
        let ok = "Webhook processed successfully";
        assert_eq!(answer, json!({ "status": "ok", "message": ok, "event_type": kind }));
    }
    road.take(CONTACT_UPDATED, &[json]).await?;
    road.archived(11).await?;

    let inbound = json!({
        "id": "msg_4410", "conversation_id": "conv_8f21ac", "contact_id": "56955501234", "phone_number_id": null,
        "direction": "inbound", "origin": null, "type": "text", "body": "¿Me das una mano con la declaración? 🙏",
        "media": null, "context": null, "content": null, "occurred_at": "2025-03-11T14:05:08+00:00",
        "status": "received", "sent_at": null, "delivered_at": null, "read_at": null, "failed_at": null, "error": null,
    });
    let outbound = json!({ "contact_id": null, "direction": "outbound", "body": null, "occurred_at": null });
    let expected = [
        inbound.clone(),
        with(
            &inbound,
            json!({
                "id": "msg_4411", "body": "Necesito AYUDA con mi boleta", "occurred_at": "2025-03-11T14:07:31+00:00",
            }),
        ),
        with(
            &inbound,
            json!({
                "id": "msg_4412", "type": "image", "body": null, "occurred_at": "2025-03-11T14:09:00+00:00",
                "media": {
                    "url": "https://media.example.test/f/9c1?sig=a&exp=1", "content_type": "image/jpeg", "size": 88211,
                },
            }),
        ),
        with(
            &inbound,
            json!({
                "id": "msg_4413", "type": "audio", "body": null, "occurred_at": "2025-03-11T14:10:00.25+00:00",
            }),
        ),
        with(
            &with(&inbound, outbound.clone()),
            json!({
                "id": "msg_4414", "status": "read", "sent_at": "2025-03-11T14:07:34+00:00",
                "delivered_at": "2025-03-11T14:07:36+00:00", "read_at": "2025-03-11T14:08:55+00:00",
            }),
        ),
        with(
            &with(&inbound, outbound),
            json!({
                "id": "msg_4415", "type": null, "status": "failed", "failed_at": "2025-03-12T18:00:00+00:00",
                "error": {
                    "code": 131_047, "message": "Re-engagement message",
                    "details": "More than 24 hours have passed <since the last reply>",
                },
            }),
        ),
    ];
    assert_eq!(road.rows(&format!("SELECT {MESSAGE} FROM messages ORDER BY id")).await?, expected);

    let statuses =
        "SELECT message_id, status, occurred_at, details FROM message_statuses ORDER BY occurred_at";
    let status = |message_id, status, occurred_at, details| json!({ "message_id": message_id, "status": status, "occurred_at": occurred_at, "details": details });
    assert_eq!(
        road.rows(statuses).await?,
        [
            status("msg_4414", "sent", "2025-03-11T14:07:34+00:00", Value::Null),
            status("msg_4414", "delivered", "2025-03-11T14:07:36+00:00", Value::Null),
            status("msg_4414", "read", "2025-03-11T14:08:55+00:00", Value::Null),
            status("msg_4415", "failed", "2025-03-12T18:00:00+00:00", expected[5]["error"].clone()),
        ]
    );

    let contacts = "SELECT id, phone_number, bsuid, kapso_id, name, created_at FROM contacts ORDER BY id";
    assert_eq!(
        road.rows(contacts).await?,
        [
            json!({
                "id": "56955501234", "phone_number": "56955501234", "bsuid": null, "kapso_id": "ctc_7702",
                "name": "Begoña Núñez", "created_at": null,
            }),
            json!({
                "id": "56955507777", "phone_number": "56955507777", "bsuid": null, "kapso_id": "ctc_7703",
                "name": "Tomás Ñ.", "created_at": "2025-03-12T20:01:00+00:00",
            }),
        ]
    );

    let conversations = "SELECT id, contact_id, phone_number_id, status, last_active_at FROM conversations";
    assert_eq!(
        road.rows(conversations).await?,
        [json!({
            "id": "conv_8f21ac", "contact_id": "56955501234", "phone_number_id": null, "status": "ended",
            "last_active_at": "2025-03-11T14:10:00.25+00:00",
        })]
    );
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 0);
    Ok(())
}

/// `row` with some of its columns replaced.
fn with(row: &Value, columns: Value) -> Value {
    let mut row = row.clone();
    if let (Value::Object(row), Value::Object(columns)) = (&mut row, columns) {
        row.extend(columns);
    }
    row
}

#[tokio::test]
async fn the_archive_keeps_the_bytes_and_the_allowed_headers() -> Result<()> {
    let road = quiet_road().await?;
    let _programs = road.open().await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let allowed = [
        ("Content-Type", "application/json"),
        ("X-Idempotency-Key", "key-1"),
        ("X-Webhook-Event", "whatsapp.message.received"),
        ("X-Webhook-Payload-Version", "v2"),
        ("traceparent", trace),
    ];
    let others = [("Authorization", "Bearer no-one-s-business"), ("X-Api-Key", "hidden"), ("Cookie", "a=b")];
    let before = OffsetDateTime::now_utc();
    for (_, body) in FIXTURES {
        road.take(body, &[&allowed[..], &others[..]].concat()).await?;
    }
    road.archived(10).await?;
    let after = OffsetDateTime::now_utc();
    for (kind, body) in FIXTURES {
        let columns =
            "kind, dialect, headers, verified_by, projected_at IS NOT NULL AS projected, dead_at, attempts";
        let id = webhook_id(kind, body);
        let row = road.row(&format!("SELECT {columns} FROM webhooks WHERE id = '\\x{id}'")).await?;
        assert_eq!(
            row,
            json!({
                "kind": kind, "dialect": "guide", "verified_by": "secret:0", "projected": true, "dead_at": null,
                "attempts": 0,
                "headers": {
                    "content-type": "application/json", "x-idempotency-key": "key-1",
                    "x-webhook-event": "whatsapp.message.received", "x-webhook-payload-version": "v2",
                    "traceparent": trace,
                },
            })
        );
        let (kept, received_at): (Vec<u8>, OffsetDateTime) =
            sqlx::query_as("SELECT body, received_at FROM webhooks WHERE id = $1")
                .bind(hex::decode(&id)?)
                .fetch_one(&road.pool)
                .await?;
        assert_eq!(kept, body);
        // It travels in milliseconds.
        assert!(before - time::Duration::MILLISECOND <= received_at && received_at <= after, "{received_at}");
    }
    Ok(())
}

#[tokio::test]
async fn the_guides_own_requests_without_ids_and_times_are_messages_too() -> Result<()> {
    let mut road = quiet_road().await?;
    let _ingest = road.stage.ingest().await?;
    road.stage.set("BUZON_EFFECTS", "on");
    let _worker = road.stage.worker().await?;
    let unnamed = format!("webhook:{}:0", webhook_id("message.received", PYTHON_BODY.as_bytes()));
    for body in [CURL_BODY, PYTHON_BODY] {
        road.take(body.as_bytes(), &[]).await?;
    }
    road.archived(2).await?;
    let found = road
        .rows(
            "SELECT m.id, m.conversation_id, m.contact_id, m.direction, m.type, m.body, m.status,
                m.occurred_at = w.received_at AS noted_on_arrival
             FROM messages m JOIN webhooks w ON convert_from(w.body, 'UTF8') LIKE '%' || m.body || '%' ORDER BY m.id",
        )
        .await?;
    let expected = json!({
        "id": "test-msg-456", "conversation_id": "test-conv-123", "contact_id": "56912345678", "direction": "inbound",
        "type": "text", "body": "Hola desde test", "status": "received", "noted_on_arrival": true,
    });
    let second = with(&expected, json!({ "id": unnamed, "type": null, "body": "Test" }));
    assert_eq!(found, [expected, second]);
    // What has no name can't be marked as read; the simulator does not know the other.
    let marks = road.effect_becomes(&unnamed, "mark_read", "discarded").await?;
    assert!(marks.outcome.is_some_and(|why| why.contains("does not give Kapso's id")));
    let marks = road.effect_becomes("test-msg-456", "mark_read", "discarded").await?;
    assert_eq!(marks.outcome.as_deref(), Some("HTTP 404: Message not found"));
    Ok(())
}

#[tokio::test]
async fn what_is_not_known_is_archived_and_counted() -> Result<()> {
    let road = quiet_road().await?;
    let [_ingest, worker] = road.open().await?;
    let strange: [(&str, Option<&str>, &str); 2] = [
        (
            "message.pinned",
            Some("guide"),
            r#"{"event_type":"message.pinned","conversation_id":"c-1","payload":{}}"#,
        ),
        ("unknown", None, r#"{"hola":"mundo"}"#),
    ];
    for (kind, _, body) in strange {
        assert_eq!(road.take(body.as_bytes(), &[]).await?["event_type"], kind);
    }
    road.archived(2).await?;
    for (kind, dialect, body) in strange {
        let columns = "kind, dialect, convert_from(body, 'UTF8') AS body, projected_at IS NOT NULL AS projected, dead_at";
        let id = webhook_id(kind, body.as_bytes());
        let row = road.row(&format!("SELECT {columns} FROM webhooks WHERE id = '\\x{id}'")).await?;
        let expected =
            json!({ "kind": kind, "dialect": dialect, "body": body, "projected": true, "dead_at": null });
        assert_eq!(row, expected);
    }
    wait::until("them to be counted", PATIENCE, async || {
        let counted = figure(&worker, "buzon_items_not_understood_total").await?;
        ensure!((counted - 2.0).abs() < f64::EPSILON, "{counted}");
        Ok(true)
    })
    .await?;
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 0);
    assert_eq!(road.count("SELECT count(*) FROM messages").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_is_not_json_is_a_dead_letter_with_its_reason() -> Result<()> {
    let road = quiet_road().await?;
    let _programs = road.open().await?;
    let bodies: [&[u8]; 3] = [b"esto no es JSON", b"{\"event_type\":\"message.received\"", b"\xff\xfe\x00"];
    for body in bodies {
        road.take(body, &[]).await?;
    }
    road.archived(3).await?;
    for body in bodies {
        let row = sqlx::query_as(
            "SELECT kind, projected_at IS NULL, dead_at IS NOT NULL, item IS NULL AND resolved_at IS NULL, reason
             FROM webhooks JOIN dead_letters ON webhook_id = webhooks.id WHERE body = $1",
        );
        let (kind, unprojected, dead, whole, reason): (String, bool, bool, bool, String) =
            row.bind(body).fetch_one(&road.pool).await?;
        assert!(unprojected && dead && whole);
        assert_eq!(kind, "unknown");
        assert!(reason.starts_with("the body is not JSON"), "{reason}");
    }
    assert_eq!(road.count("SELECT count(*) FROM dead_letters").await?, 3);
    Ok(())
}

/// The guide's trial without a secret leaves a mark in the archive.
#[tokio::test]
async fn an_unsigned_webhook_is_archived_as_such() -> Result<()> {
    let mut road = quiet_road().await?;
    road.stage.set("KAPSO_WEBHOOK_SECRET", "");
    road.stage.set("BUZON_ENV", "development");
    let _programs = road.open().await?;
    let answer = road.stage.post(CURL_BODY, &[("Content-Type", "application/json")]).await?;
    assert_eq!(answer.status(), 200);
    road.archived(1).await?;
    assert_eq!(road.texts("SELECT verified_by FROM webhooks").await?, ["nothing"]);
    Ok(())
}
