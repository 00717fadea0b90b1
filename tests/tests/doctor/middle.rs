//! A proxy that speaks HTTP, as it stands before ingest, and what such proxies do to a webhook.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Habit {
    /// Passes everything on as it is.
    Plain,
    /// Parses the JSON and writes it anew, as middlewares do.
    Rewrites,
    /// Passes only headers on that it knows.
    DropsHeaders,
    /// Answers itself.
    Answers(u16, &'static str),
}

/// The proxy; dropping it ends it.
pub(crate) struct Middle {
    pub(crate) addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl Middle {
    pub(crate) async fn before(ingest: SocketAddr, habit: Habit) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move { serve(client, ingest, habit).await.ok() });
            }
        });
        Ok(Self { addr, serving })
    }

    /// The address that is registered with Kapso.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request, and the end of its connection.
async fn serve(mut client: TcpStream, ingest: SocketAddr, habit: Habit) -> Result<()> {
    let (head, mut body) = read(&mut client).await?;
    if let Habit::Answers(status, answer) = habit {
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n"
        );
        client.write_all(format!("{head}{answer}").as_bytes()).await?;
        return Ok(client.shutdown().await?);
    }
    if let (Habit::Rewrites, Ok(json)) = (habit, serde_json::from_slice::<serde_json::Value>(&body)) {
        body = serde_json::to_vec(&json)?;
    }
    let mut lines = head.lines();
    let mut passed = lines.next().context("a request line")?.to_owned();
    for line in lines.filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let known = matches!(&*name, "host" | "content-type" | "user-agent" | "accept");
        if name != "content-length"
            && name != "connection"
            && (known || !matches!(habit, Habit::DropsHeaders))
        {
            passed += &format!("\r\n{line}");
        }
    }
    passed += &format!("\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let mut server = TcpStream::connect(ingest).await?;
    server.write_all(passed.as_bytes()).await?;
    server.write_all(&body).await?;
    tokio::io::copy(&mut server, &mut client).await?;
    Ok(client.shutdown().await?)
}

/// Head and body of a request.
async fn read(client: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec())?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Ok((head, body.to_vec()));
            }
        }
        let read = client.read(&mut buffer).await?;
        anyhow::ensure!(read > 0, "the client went away");
        bytes.extend_from_slice(&buffer[..read]);
    }
}
