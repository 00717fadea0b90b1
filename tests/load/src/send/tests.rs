//! The generator against a door that stalls, and one that refuses.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::traffic::Dialect;

/// When the door that stalls does so, after the first request.
const STALL: Duration = Duration::from_millis(400);

fn sending(door: SocketAddr, rate: Option<f64>) -> Sending {
    let stream = Stream {
        dialect: Dialect::V2,
        name: "test".to_owned(),
        contacts: 10,
        ask_every: 0,
        since: 1_771_421_467,
        rate: 0.0,
    };
    let secret = "secret".to_owned();
    Sending { door, secret, stream, first: 0, connections: 1, rate, seconds: 1.0, warm_up: 0.0 }
}

/// A server of one connection that answers every request at once, and stands still once; every `refused`-th it answers
/// 503.
async fn door(refused: u64) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut bytes = vec![0; 64 * 1024];
        let mut count = 0_u64;
        // One request at a time, and each is written by one call: what is read is one of them.
        while stream.read(&mut bytes).await? > 0 {
            count += 1;
            if count == 2 && refused == 0 {
                tokio::time::sleep(STALL).await;
            }
            let status = if refused > 0 && count.is_multiple_of(refused) { 503 } else { 200 };
            stream
                .write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok").as_bytes())
                .await?;
        }
        anyhow::Ok(())
    });
    Ok(addr)
}

/// At 100 a second, a stall of 400 ms keeps 40 requests waiting; a generator that waits with them sees one slow answer.
#[tokio::test]
async fn a_stall_is_charged_for_every_request_that_it_kept_waiting() -> Result<()> {
    let sent = sending(door(0).await?, Some(100.0)).run(async || Ok(())).await?;
    assert_eq!((sent.count, sent.refused.len()), (100, 0));
    assert!(sent.latency.late >= 25 && sent.latency.late <= 60, "{sent:?}");
    assert!(sent.silence >= 380.0, "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn without_a_schedule_one_answer_is_slow() -> Result<()> {
    let sent = sending(door(0).await?, None).run(async || Ok(())).await?;
    assert_eq!((sent.latency.late, sent.refused.len()), (1, 0), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_refused_is_told_by_its_number() -> Result<()> {
    let sent = sending(door(10).await?, Some(50.0)).run(async || Ok(())).await?;
    let refused: Vec<_> = sent.refused.iter().map(|refused| (refused.number, refused.status)).collect();
    assert_eq!(refused, [(9, 503), (19, 503), (29, 503), (39, 503), (49, 503)]);
    assert_eq!(sent.latency.count, 45);
    Ok(())
}
