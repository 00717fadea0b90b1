//! What one test gets: a vhost of its own, and ingest on it. No worker and no Postgres.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::product::{self, Product, READY_DEADLINE, Settings};
use harness::servers::Node;
use harness::stage::{RABBITMQ_DIR, WEBHOOK_PATH};
use harness::{ports, scratch, sign, wait};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::queue::Queue;

pub(crate) const SECRET: &str = "tu-webhook-secret";

/// An answer is late after this, whatever is down: the promise is 2.5 s.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_millis(2_500);

static MADE: AtomicU32 = AtomicU32::new(0);

/// One vhost at a time: `erl_call -r` draws its name from the clock, and of two with the same
/// name the node turns one away.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(crate) struct Stage {
    settings: Settings,
    dir: PathBuf,
    door: SocketAddr,
    metrics: SocketAddr,
    amqp_url: String,
    vhost: String,
    node: Node,
    client: reqwest::Client,
}

/// What the door answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Answer {
    /// The `detail` of a problem.
    pub(crate) fn detail(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["detail"].as_str().unwrap_or_default().to_owned()
    }
}

impl Stage {
    /// On the broker that all tests share.
    pub(crate) async fn new() -> Result<Self> {
        let dir = std::env::var(RABBITMQ_DIR).ok().context(scratch::HOW_TO_RUN)?;
        Self::on(&Node::attach(Path::new(&dir))?).await
    }

    /// On a broker of the test's own.
    pub(crate) async fn on(node: &Node) -> Result<Self> {
        let vhost = format!("door{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        {
            let _turn = ONE_AT_A_TIME.lock().await;
            node.create_vhost(&vhost).await?;
        }
        let (door, metrics) = (ports::loopback(ports::free()?), ports::loopback(ports::free()?));
        let amqp_url = node.url(&vhost);
        let dir = scratch::dir()?;
        let settings = [
            ("AMQP_URL", amqp_url.clone()),
            ("INGEST_ADDR", door.to_string()),
            ("BUZON_INGEST_METRICS_ADDR", metrics.to_string()),
            // Each start has a working directory of its own; a restarted ingest must find its spool.
            ("BUZON_SPOOL_DIR", dir.join("spool").display().to_string()),
            ("KAPSO_WEBHOOK_SECRET", SECRET.to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
        let (client, node) = (reqwest::Client::new(), node.clone());
        Ok(Self { settings, dir, door, metrics, amqp_url, vhost, node, client })
    }

    /// With a variable set, or taken away when it is empty.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.settings.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// As the guide's trial without a secret.
    pub(crate) fn in_development(self) -> Self {
        self.with("KAPSO_WEBHOOK_SECRET", "").with("BUZON_ENV", "development")
    }

    /// Reaching the broker at another address, such as a proxy's.
    pub(crate) fn through(self, broker: SocketAddr) -> Self {
        let url = self.amqp_url.replace(&self.node.addr().to_string(), &broker.to_string());
        self.with("AMQP_URL", &url)
    }

    /// Starts it, and waits until its broker is well.
    pub(crate) async fn ingest(&self) -> Result<Product> {
        let ingest = self.ingest_alone().await?;
        self.becomes_available().await?;
        Ok(ingest)
    }

    /// Starts it, and waits until it is ready: by its spool, if not by its broker.
    pub(crate) async fn ingest_alone(&self) -> Result<Product> {
        let mut ingest = self.ingest_unready()?;
        ingest.ready(READY_DEADLINE).await?;
        Ok(ingest)
    }

    pub(crate) fn ingest_unready(&self) -> Result<Product> {
        Product::start("ingest", &[], &self.settings, self.door, &self.dir)
    }

    /// Starts it with a log that goes into a pipe, whose other end is open and not read.
    pub(crate) fn ingest_with_unread_log(&self) -> Result<Child> {
        // An empty one here stops the search for `.env` in the directories above.
        std::fs::write(self.dir.join(".env"), "")?;
        let mut ingest = Command::new(product::binaries::path("ingest")?);
        ingest.env_clear().envs(&self.settings).current_dir(&self.dir);
        Ok(ingest
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?)
    }

    /// Runs ingest to its end.
    pub(crate) async fn finish(&self, args: &[&str]) -> Result<product::Finished> {
        product::finish("ingest", args, &self.settings, &self.dir, READY_DEADLINE).await
    }

    /// Runs it to its end with some variables set otherwise.
    pub(crate) async fn finish_with(&self, more: &[(&str, &str)]) -> Result<product::Finished> {
        let mut settings = self.settings.clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        product::finish("ingest", &[], &settings, &self.dir, READY_DEADLINE).await
    }

    /// Where ingest's spool is.
    pub(crate) fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    pub(crate) fn vhost(&self) -> &str {
        &self.vhost
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{WEBHOOK_PATH}", self.door)
    }

    /// A look at the broker, with a connection that does not go through any proxy.
    pub(crate) async fn queue(&self) -> Result<Queue> {
        Queue::connect(&self.amqp_url).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let start = std::time::Instant::now();
        let response = request.send().await?;
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        Ok(Answer {
            status: response.status().as_u16(),
            media_type: text("content-type").unwrap_or_default(),
            retry_after: text("retry-after"),
            body: response.text().await?,
            took: start.elapsed(),
        })
    }

    pub(crate) async fn post(&self, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Result<Answer> {
        let request = self.client.post(self.url()).body(body.into());
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// Posts a body signed as the guide says, with more headers.
    pub(crate) async fn post_signed(
        &self,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let body = body.into();
        let signature = sign::hex(SECRET, &body)?;
        let headers = [&[("X-Kapso-Signature", signature.as_str())], headers].concat();
        self.post(body, &headers).await
    }

    pub(crate) async fn get(&self, path_and_query: &str) -> Result<Answer> {
        self.send(self.client.get(format!("http://{}{path_and_query}", self.door))).await
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The value of a figure, as `name` or `name{label="value"}`.
    pub(crate) async fn figure(&self, name: &str) -> Result<f64> {
        let text = self.client.get(format!("http://{}/metrics", self.metrics)).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no {name} in:\n{text}"))?.parse()?)
    }

    /// Waits until a figure has a value.
    pub(crate) async fn figure_becomes(&self, name: &str, value: f64) -> Result<()> {
        wait::until(&format!("{name} to be {value}"), Duration::from_secs(10), async || {
            let is = self.figure(name).await?;
            anyhow::ensure!((is - value).abs() < f64::EPSILON, "it is {is}");
            Ok(true)
        })
        .await
    }

    /// A connection on which a test says what it likes.
    pub(crate) async fn dial(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.door).await?)
    }

    /// Writes raw bytes on a connection of its own and reads all that comes back until the door closes it.
    pub(crate) async fn say(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = self.dial().await?;
        stream.write_all(bytes).await?;
        hear(&mut stream).await
    }
}

/// Reads until the other side closes.
pub(crate) async fn hear(stream: &mut TcpStream) -> Result<String> {
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer))
        .await
        .with_context(|| format!("still open after: {}", String::from_utf8_lossy(&answer)))??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The head of a POST to the door, with these header lines.
pub(crate) fn head(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: door\r\n{lines}\r\n")
}

/// The log's events of requests that were answered so, once there are so many: a thread of its own writes the log, and
/// no answer waits for it.
pub(crate) async fn answered(ingest: &Product, status: u16, count: usize) -> Result<Vec<Value>> {
    wait::until("the log", Duration::from_secs(30), async || -> Result<_> {
        let mut found = events(ingest);
        found.retain(|event| event["http.status"] == status);
        anyhow::ensure!(found.len() == count, "{found:?}");
        Ok(Some(found))
    })
    .await
}

/// The log's events, one JSON object a line.
pub(crate) fn events(ingest: &Product) -> Vec<Value> {
    ingest.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
