//! Whoever is told of alarms: a small HTTP server that keeps what it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::ports;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long a slow one takes: several looks of the workers, and less than they wait.
const SLOWLY: Duration = Duration::from_secs(2);

/// It listens until it is dropped.
pub(crate) struct Receiver {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    told: Mutex<Vec<Value>>,
    status: AtomicU16,
    is_slow: AtomicBool,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn at(addr: SocketAddr) -> Result<Self> {
        let listener = ports::listen(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            status: AtomicU16::new(200),
            is_slow: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { drop(serve(stream, &shared).await) });
            }
        });
        Ok(Self { addr, shared, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/a-key-of-the-receiver", self.addr)
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Takes its time from now on: whoever else tells the same does so meanwhile.
    pub(crate) fn slow_down(&self) {
        self.shared.is_slow.store(true, Ordering::SeqCst);
    }

    /// All that it was told of an alarm, as it was told.
    pub(crate) fn told(&self, alarm: &str) -> Vec<Value> {
        let told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|notice| notice["alarm"] == alarm).cloned().collect()
    }

    /// The states it was told of an alarm, the first first.
    pub(crate) fn states(&self, alarm: &str) -> Vec<String> {
        self.told(alarm).iter().filter_map(|notice| Some(notice["state"].as_str()?.to_owned())).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().context("a length")?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    shared.told.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_slice(&body)?);
    if shared.is_slow.load(Ordering::SeqCst) {
        tokio::time::sleep(SLOWLY).await;
    }
    let status = shared.status.load(Ordering::SeqCst);
    let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
