//! Every row of the status table that is not about signatures, and what a refusal costs.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::sign;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::queue::EVENTS;
use crate::stage::{Answer, SECRET, Stage, head, hear};

const MIB: usize = 1024 * 1024;
const BODY_BYTES: &str = "buzon_body_bytes";

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.media_type.as_str()), (status, "application/problem+json"));
    let title = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["title"].as_str(), title);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", answer.body);
}

#[tokio::test]
async fn content_that_cannot_be_verified_or_kept() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    is_problem(&stage.post("", &[]).await?, 401);
    is_problem(&stage.post_signed("", &[]).await?, 400);
    is_problem(&stage.post_signed("{}", &[("Content-Encoding", "gzip")]).await?, 415);
    is_problem(&stage.post_signed("{}", &[("Content-Encoding", "identity, br")]).await?, 415);
    assert_eq!(stage.post_signed("{}", &[("Content-Encoding", "identity")]).await?.status, 200);
    for status in ["200", "400", "401", "415"] {
        assert!(stage.figure(&format!("buzon_webhooks_received_total{{status=\"{status}\"}}")).await? > 0.0);
    }
    Ok(())
}

#[tokio::test]
async fn unsigned_content_must_be_json() -> Result<()> {
    let stage = Stage::new().await?.in_development();
    let _ingest = stage.ingest().await?;
    is_problem(&stage.post("", &[]).await?, 400);
    is_problem(&stage.post("event_type=message.received", &[]).await?, 400);
    assert_eq!(stage.post("[1]", &[]).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn five_mebibytes_and_not_one_byte_more() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let mut body = vec![b' '; 5 * MIB];
    body[..2].copy_from_slice(b"{}");
    assert_eq!(stage.post_signed(body.clone(), &[]).await?.status, 200);
    assert_eq!(stage.queue().await?.take(EVENTS).await?.data, body);
    body.push(b' ');
    is_problem(&stage.post_signed(body, &[]).await?, 413);
    Ok(())
}

/// A client that writes everything before it reads must still get to read the answer.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_goes_on_sending() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let length = 20 * MIB;
    let declared = [head(&[&format!("Content-Length: {length}")]).into_bytes(), vec![b'x'; length]].concat();
    let answer = stage.say(&declared).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut chunked = head(&["Transfer-Encoding: chunked", "Connection: close"]).into_bytes();
    for _ in 0..20 {
        chunked.extend_from_slice(format!("{MIB:x}\r\n").as_bytes());
        chunked.extend_from_slice(&vec![b'x'; MIB]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = stage.say(&chunked).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    stage.figure_becomes(BODY_BYTES, 0.0).await
}

/// A client that never ends its body is not listened to for ever: neither here nor on other paths.
#[tokio::test]
async fn a_body_without_end_is_cut_off() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let chunk = [format!("{MIB:x}\r\n").as_bytes(), &vec![b'x'; MIB], b"\r\n"].concat();
    let webhook = head(&["Transfer-Encoding: chunked"]);
    for request in
        [webhook.clone(), webhook.replace("/webhook", "/elsewhere"), webhook.replace("POST", "PUT")]
    {
        let mut stream = stage.dial().await?;
        stream.write_all(request.as_bytes()).await?;
        let start = Instant::now();
        while stream.write_all(&chunk).await.is_ok() {
            anyhow::ensure!(start.elapsed() < Duration::from_secs(10), "still read: {request}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_comes_too_slowly() -> Result<()> {
    let stage = Stage::new().await?.with("BUZON_BODY_DEADLINE_MS", "300");
    let _ingest = stage.ingest().await?;
    for lines in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut stream = stage.dial().await?;
        stream.write_all(head(&[lines]).as_bytes()).await?;
        let start = Instant::now();
        // A byte now and then does not buy more time.
        let drip = if lines.starts_with('C') { "x" } else { "1\r\nx\r\n" };
        let mut answer = [0; 15];
        loop {
            stream.write_all(drip.as_bytes()).await.ok();
            let read = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut answer)).await;
            if read.is_ok() {
                break;
            }
            anyhow::ensure!(start.elapsed() < Duration::from_secs(5), "no answer");
        }
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408 Re");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    stage.figure_becomes(BODY_BYTES, 0.0).await
}

#[tokio::test]
async fn bodies_beyond_the_budget_wait_outside() -> Result<()> {
    let stage = Stage::new().await?;
    let stage = stage.with("BUZON_MAX_BODY_BYTES", "1000").with("BUZON_MAX_INFLIGHT_BYTES", "1500");
    let _ingest = stage.ingest().await?;
    let mut holder = stage.dial().await?;
    holder.write_all(head(&["Content-Length: 1000"]).as_bytes()).await?;
    // Whoever only says that much will come shuts out nobody.
    assert_eq!(stage.post_signed("x".repeat(1000), &[]).await?.status, 200);
    holder.write_all(&[b'x'; 999]).await?;
    stage.figure_becomes(BODY_BYTES, 999.0).await?;

    let refused = stage.post_signed("x".repeat(502), &[]).await?;
    is_problem(&refused, 503);
    assert_eq!(refused.retry_after.as_deref(), Some("10"));
    assert_eq!(stage.post_signed("x".repeat(501), &[]).await?.status, 200);

    // A client that goes away in the middle gives back what it held.
    drop(holder);
    stage.figure_becomes(BODY_BYTES, 0.0).await?;
    assert_eq!(stage.post_signed("x".repeat(1000), &[]).await?.status, 200);
    Ok(())
}

/// Requests that nobody waits for any longer, at every point of their way.
#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() -> Result<()> {
    let stage = Stage::new().await?;
    let _ingest = stage.ingest().await?;
    let body = r#"{"event_type":"a.farewell"}"#;
    let signature = format!("X-Kapso-Signature: {}", sign::hex(SECRET, body.as_bytes())?);
    let request = head(&[&signature, &format!("Content-Length: {}", body.len())]) + body;
    for cut in (0..200).map(|nth| request.len() * nth / 199) {
        let mut stream = stage.dial().await?;
        stream.write_all(&request.as_bytes()[..cut]).await?;
        // A reset and not a polite end: the handler is dropped where it stands.
        stream.set_zero_linger()?;
    }
    stage.figure_becomes(BODY_BYTES, 0.0).await?;
    assert_eq!(stage.post_signed("{}", &[]).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_truncated_body_is_no_webhook() -> Result<()> {
    let stage = Stage::new().await?.in_development();
    let _ingest = stage.ingest().await?;
    let mut stream = stage.dial().await?;
    stream.write_all((head(&["Content-Length: 10"]) + "{}").as_bytes()).await?;
    stream.shutdown().await?;
    let answer = hear(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 400 ") || answer.is_empty(), "{answer}");
    assert!(stage.queue().await?.take_all(EVENTS).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_handshake_and_everything_else() -> Result<()> {
    const HANDSHAKE: &str =
        "/api/whatsapp/webhook?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
    let stage = Stage::new().await?;
    let without_token = stage.ingest().await?;
    is_problem(&stage.get(&format!("{HANDSHAKE}token")).await?, 403);
    drop(without_token);

    let stage = stage.with("KAPSO_META_VERIFY_TOKEN", "token");
    let _ingest = stage.ingest().await?;
    let answer = stage.get(&format!("{HANDSHAKE}token")).await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1158201444"));
    assert!(answer.media_type.starts_with("text/plain"), "{}", answer.media_type);
    is_problem(&stage.get(&format!("{HANDSHAKE}tokem")).await?, 403);
    is_problem(&stage.get("/api/whatsapp/webhook").await?, 403);
    is_problem(&stage.get("/").await?, 404);
    is_problem(&stage.send(stage.client().delete(stage.url())).await?, 405);
    Ok(())
}
