//! One HTTP connection of the generator: the least that a client can do, so that the load costs little beside what is
//! measured. A general client costs several times as much for each request.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::traffic::Traffic;

/// More than any answer of the door.
const ANSWER_BYTES: usize = 8 * 1024;

/// Makes requests of webhooks: buffers that are used again and again, and a key that is hashed once.
pub struct Requests {
    key: Hmac<Sha256>,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl Requests {
    /// Requests signed with this secret.
    ///
    /// # Errors
    ///
    /// Never in practice: HMAC takes a key of any length.
    pub fn signed_with(secret: &str) -> Result<Self> {
        Ok(Self { key: Hmac::new_from_slice(secret.as_bytes())?, body: Vec::new(), request: Vec::new() })
    }

    /// The bytes of the request that carries the webhook of this number.
    ///
    /// # Errors
    ///
    /// Never in practice: they are written to memory.
    pub fn write(&mut self, traffic: &Traffic, number: u64) -> Result<&[u8]> {
        let Self { key, body, request } = self;
        body.clear();
        let sent = traffic.write(number, body);
        let mut digits = [0; 64];
        hex::encode_to_slice(key.clone().chain_update(&*body).finalize().into_bytes(), &mut digits)?;
        request.clear();
        let path = harness::stage::WEBHOOK_PATH;
        write!(request, "POST {path} HTTP/1.1\r\nHost: buzon\r\nContent-Type: application/json\r\n")?;
        if let Some(event) = sent.event {
            write!(request, "X-Webhook-Event: {event}\r\nX-Idempotency-Key: {number:032x}\r\n")?;
        }
        if let Some(version) = sent.version {
            write!(request, "X-Webhook-Payload-Version: {version}\r\n")?;
        }
        let (header, prefix) = traffic.signature;
        write!(request, "{header}: {prefix}")?;
        request.extend_from_slice(&digits);
        write!(request, "\r\nContent-Length: {}\r\n\r\n", body.len())?;
        request.extend_from_slice(body);
        Ok(request)
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub async fn to(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await.with_context(|| format!("nobody listens on {addr}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Sends a request and reads its answer to the end; its status.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or the answer is none.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed before the answer");
            }
            if let Some(status) = whole(&self.answer)? {
                return Ok(status);
            }
            ensure!(self.answer.len() < ANSWER_BYTES, "the answer has no end");
        }
    }
}

/// The status of an answer, once it is there to its last byte.
fn whole(bytes: &[u8]) -> Result<Option<u16>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(at) = head.parse(bytes)? else { return Ok(None) };
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    // Every answer of the door says how long it is.
    let length = length.context("an answer without a length")?;
    Ok((bytes.len() >= at + length).then_some(head.code).flatten())
}
