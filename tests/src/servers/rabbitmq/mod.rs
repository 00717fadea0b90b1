//! A `RabbitMQ` of one's own.

mod node;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{START_DEADLINE, STOP_DEADLINE, packages};
use crate::process::{Launch, Process, Signal, leftovers};
use crate::{scratch, wait};

pub use node::Node;

/// What a client says first in AMQP 0-9-1.
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A private broker. Dropping it kills it; its data stays.
#[derive(Debug)]
pub struct RabbitMq {
    node: Node,
    logs: PathBuf,
    server: Option<Process>,
    epmd: Option<Process>,
}

impl RabbitMq {
    /// Starts a broker that keeps its data in `dir` and its log in `logs`; data that is already there is used.
    ///
    /// # Errors
    ///
    /// When it doesn't come up; the message shows the end of its log.
    pub async fn start(dir: &Path, logs: &Path) -> Result<Self> {
        leftovers::stop(dir).await?;
        let mut broker = Self { node: Node::prepare(dir)?, logs: logs.to_owned(), server: None, epmd: None };
        broker.restart().await?;
        Ok(broker)
    }

    /// Starts one for the running test alone, which may do to it what it likes.
    ///
    /// # Errors
    ///
    /// When it doesn't come up.
    pub async fn of_this_test() -> Result<Self> {
        let dir = scratch::dir()?;
        Self::start(&dir.join("rabbitmq"), &dir).await
    }

    /// How to reach it and command it; a copy can be kept by others.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where a client finds one of its vhosts.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        self.node.url(vhost)
    }

    /// Makes a vhost.
    ///
    /// # Errors
    ///
    /// When the broker refuses.
    pub async fn create_vhost(&self, vhost: &str) -> Result<()> {
        self.node.create_vhost(vhost).await
    }

    /// `rabbitmqctl`.
    ///
    /// # Errors
    ///
    /// When the command fails; the message shows what it said.
    pub async fn ctl(&self, args: &[&str]) -> Result<String> {
        self.node.ctl(args).await
    }

    /// Stops the broker inside its process: connections close, the port refuses.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub async fn stop_app(&self) -> Result<()> {
        self.ctl(&["stop_app"]).await.map(drop)
    }

    /// Starts it again after [`Self::stop_app`].
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub async fn start_app(&self) -> Result<()> {
        self.ctl(&["start_app"]).await.map(drop)
    }

    /// Raises the memory alarm: publishers get `connection.blocked` and are read no more.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub async fn block(&self) -> Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0"]).await.map(drop)
    }

    /// Ends what [`Self::block`] began.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub async fn unblock(&self) -> Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0.4"]).await.map(drop)
    }

    /// Closes every client's connection to a vhost, as an operator would.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub async fn close_connections(&self, vhost: &str) -> Result<()> {
        self.ctl(&["close_all_connections", "--vhost", vhost, "closed by a test"]).await.map(drop)
    }

    /// Makes the broker write down which queues there are.
    ///
    /// It does so by itself, but only a second or two after it has said that a queue is declared. A `kill -9` in that
    /// time takes a young queue away with all that was confirmed into it, of a quorum queue always (`RabbitMQ` 3.10).
    /// A test of anything else lets the queue grow up first.
    ///
    /// # Errors
    ///
    /// When the broker can't.
    pub async fn sync_definitions(&self) -> Result<()> {
        // The definitions of all queues, and the directory by which quorum queues find their data.
        let synced = self.node.eval("mnesia:sync_log(), lists:foreach(fun dets:sync/1, dets:all())").await?;
        ensure!(synced == "{ok, ok}", "the broker can't write its definitions: {synced}");
        Ok(())
    }

    /// The running server, if there is one.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.server.as_mut()
    }

    /// Stops it in good order.
    ///
    /// # Errors
    ///
    /// When it doesn't stop in time.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop(Signal::Terminate, STOP_DEADLINE).await?;
        }
        self.epmd = None;
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server = None;
        self.epmd = None;
    }

    /// Starts it again on the same port, after stopping it if it runs.
    ///
    /// # Errors
    ///
    /// When it doesn't come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        // A node registers with its port mapper at its start, or ends.
        self.epmd = Some(self.launch("epmd", Path::new("epmd")).args(self.node.epmd_args()).start()?);
        wait::until("epmd to answer", START_DEADLINE, async || {
            TcpStream::connect(self.node.epmd_addr()).await.is_ok()
        })
        .await?;
        let mut server = self.launch("rabbitmq", &packages::rabbitmq()?.join("rabbitmq-server")).start()?;
        let answer = wait::until("RabbitMQ to answer", START_DEADLINE, async || {
            if let Some(status) = server.ended()? {
                return Ok(Some(Err(status)));
            }
            let answers = speaks_amqp(&self.node).await.context("its port does not answer")?;
            anyhow::Ok(answers.then_some(Ok(())))
        })
        .await
        .with_context(|| server.log_tail())?;
        if let Err(status) = answer {
            bail!("RabbitMQ ended at its start ({status}); {}", server.log_tail());
        }
        self.server = Some(server);
        Ok(())
    }

    fn launch(&self, name: &str, program: &Path) -> Launch {
        Launch::new(name, program, self.node.dir())
            .envs(self.node.environment())
            .logging_to(self.logs.join(format!("{name}.log")))
            .apart_from_terminal()
    }
}

/// Does it greet a client? An open port alone can be a broker that is still starting.
async fn speaks_amqp(node: &Node) -> Result<bool> {
    let mut stream = TcpStream::connect(node.addr()).await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    let mut frame = [0_u8; 7];
    stream.read_exact(&mut frame).await?;
    // A method frame on channel 0: connection.start.
    Ok(frame.starts_with(&[1, 0, 0]))
}
