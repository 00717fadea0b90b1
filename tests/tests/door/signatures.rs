//! The signature matrix, through the real door: which headers, which forms, which secrets, which bytes.

use anyhow::Result;
use harness::sign;

use crate::queue::EVENTS;
use crate::stage::{SECRET, Stage};

const META_SECRET: &str = "app-secret";
const BODY: &str = r#"{"event_type":"message.received","payload":{"content":"¿Qué tal? 😊"}}"#;
const KAPSO: &str = "X-Kapso-Signature";
const WEBHOOK: &str = "X-Webhook-Signature";
const HUB: &str = "X-Hub-Signature-256";

/// What it is, the headers it sends, and whether it is let in or refused with which detail.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Result<(), &'a str>);

/// Posts each list of headers, and checks the status and, of a refusal, the detail.
async fn check(stage: &Stage, cases: &[Case<'_>]) -> Result<()> {
    for (case, headers, expected) in cases {
        let answer = stage.post(BODY, headers).await?;
        match expected {
            Ok(()) => assert_eq!(answer.status, 200, "{case}: {}", answer.body),
            Err(detail) => assert_eq!((answer.status, answer.detail().as_str()), (401, *detail), "{case}"),
        }
    }
    Ok(())
}

const INVALID: Result<(), &str> = Err("Invalid webhook signature");
const MISSING: Result<(), &str> = Err("Missing X-Kapso-Signature header");

#[tokio::test]
async fn headers_and_forms() -> Result<()> {
    let stage = Stage::new().await?.with("KAPSO_META_APP_SECRET", META_SECRET);
    let _ingest = stage.ingest().await?;
    let good = sign::hex(SECRET, BODY.as_bytes())?;
    let app = sign::hex(META_SECRET, BODY.as_bytes())?;
    let (upper, prefixed) = (good.to_uppercase(), format!("sha256={good}"));
    let (hub, hub_by_secret) = (format!("sha256={app}"), format!("sha256={good}"));
    let (other_prefix, upper_prefix) = (format!("sha512={good}"), format!("SHA256={good}"));
    let (short, long) = (good.get(..63).unwrap_or_default(), format!("{good}00"));
    let of_other_bytes = sign::hex(SECRET, BODY.trim_end_matches('}').as_bytes())?;
    let not_hex = "zz".repeat(32);
    check(
        &stage,
        &[
            ("the guide's header", &[(KAPSO, &good)], Ok(())),
            ("Kapso's header", &[(WEBHOOK, &good)], Ok(())),
            ("lower-case name", &[("x-kapso-signature", &good)], Ok(())),
            ("Meta's header, Meta's secret", &[(HUB, &hub)], Ok(())),
            ("upper-case hex", &[(KAPSO, &upper)], Ok(())),
            ("with a prefix", &[(WEBHOOK, &prefixed)], Ok(())),
            ("one valid, one not", &[(KAPSO, &not_hex), (WEBHOOK, &good)], Ok(())),
            ("none", &[], MISSING),
            ("an unknown header", &[("X-Signature", &good)], MISSING),
            ("Meta's header, Kapso's secret", &[(HUB, &hub_by_secret)], INVALID),
            ("Meta's header without prefix", &[(HUB, &app)], INVALID),
            ("Kapso's header, Meta's secret", &[(KAPSO, &app)], INVALID),
            ("another prefix", &[(KAPSO, &other_prefix)], INVALID),
            ("an upper-case prefix", &[(KAPSO, &upper_prefix)], INVALID),
            ("too short", &[(KAPSO, short)], INVALID),
            ("too long", &[(KAPSO, &long)], INVALID),
            ("empty", &[(KAPSO, "")], INVALID),
            ("not hex", &[(KAPSO, &not_hex)], INVALID),
            ("of other bytes", &[(KAPSO, &of_other_bytes)], INVALID),
            ("twice", &[(KAPSO, &good), (KAPSO, &good)], Err("Duplicate X-Kapso-Signature header")),
            (
                "twice, once valid",
                &[(WEBHOOK, "x"), (WEBHOOK, &good)],
                Err("Duplicate X-Webhook-Signature header"),
            ),
            (
                "twice beside a valid one",
                &[(KAPSO, &good), (HUB, &hub), (HUB, &hub)],
                Err("Duplicate X-Hub-Signature-256 header"),
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn secrets_can_be_rotated() -> Result<()> {
    let stage = Stage::new().await?.with("KAPSO_WEBHOOK_SECRETS", "the-old-one another's");
    let _ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    for (secret, by) in [(SECRET, "secret:0"), ("the-old-one", "secret:1"), ("another's", "secret:2")] {
        let signature = sign::hex(secret, BODY.as_bytes())?;
        assert_eq!(stage.post(BODY, &[(KAPSO, &signature)]).await?.status, 200, "{secret}");
        let headers = queue.take(EVENTS).await?.properties.headers().clone().unwrap_or_default();
        let verified_by = headers.inner().get("buzon-verified-by").and_then(|value| value.as_long_string());
        assert_eq!(verified_by.map(ToString::to_string).as_deref(), Some(by));
    }
    let signature = sign::hex("the-one-before", BODY.as_bytes())?;
    assert_eq!(stage.post(BODY, &[(KAPSO, &signature)]).await?.status, 401);
    Ok(())
}

/// The same message as different programs write it: only its own bytes are signed.
#[tokio::test]
async fn the_bytes_count_and_not_what_they_mean() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let queue = stage.queue().await?;
    let spellings = [
        r#"{"event_type":"message.received","payload":{"content":"¿Qué? ñ 😊 a/b <&>","amount":1.0}}"#,
        r#"{"event_type": "message.received", "payload": {"content": "\u00bfQu\u00e9? \u00f1 \ud83d\ude0a a/b <&>", "amount": 1.0}}"#,
        "{\n  \"event_type\": \"message.received\",\r\n\t\"payload\": {\"content\": \"¿Qué? ñ 😊 a\\/b \\u003c\\u0026\\u003e\", \"amount\": 1.00}\n}\n",
        " {\"payload\":{\"amount\":1e0,\"content\":\"¿Que\u{301}? n\u{303} 😊 a/b <&>\"},\"event_type\":\"message.received\"}",
    ];
    for (nth, body) in spellings.iter().enumerate() {
        assert_eq!(stage.post_signed(*body, &[]).await?.status, 200, "{body}");
        assert_eq!(queue.take(EVENTS).await?.data, body.as_bytes());
        let other = spellings[(nth + 1) % spellings.len()];
        let signature = sign::hex(SECRET, other.as_bytes())?;
        assert_eq!(stage.post(*body, &[(KAPSO, &signature)]).await?.status, 401, "{body}");
    }
    Ok(())
}
