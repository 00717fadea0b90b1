//! The parts that are measured beside the product, each a process of its own, so that the system's own account tells
//! what each of them costs: the generator, and bare programs that show what is possible.
//!
//! A part prepares itself and says `ready`; told to go, it works and says what it did, as one line of JSON; it ends
//! when its input does.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::bare;
use crate::send::Sending;

/// The subcommand by which a part is started.
pub const SUBCOMMAND: &str = "part";

/// What there is to be played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// The generator.
    Send(Sending),
    /// HTTP and signatures, with nothing behind them.
    Door(bare::door::BareDoor),
    /// One client that publishes with confirms.
    Publish(bare::publish::Publishing),
    /// One client that publishes by a schedule.
    Confirm(bare::confirm::Confirming),
    /// One client that consumes and acknowledges.
    Consume(bare::consume::Consuming),
    /// The worker's statements, without a broker.
    Store(bare::store::Storing),
    /// One transaction for each event.
    Naive(bare::naive::Naive),
    /// Write and sync.
    Sync(bare::sync::Syncing),
}

/// How many of something were done, and in which time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// How many.
    pub count: u64,
    /// In seconds.
    pub seconds: f64,
}

impl Done {
    /// How many a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

impl Part {
    /// Plays it: the whole of a process.
    ///
    /// # Errors
    ///
    /// When what it works on fails.
    pub async fn play(self) -> Result<()> {
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        let cue = async || {
            say("ready").await?;
            input.next_line().await?.context("nobody is left to play for")?;
            Ok(())
        };
        let report = match self {
            Self::Send(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Door(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Publish(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Confirm(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Consume(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Store(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Naive(part) => serde_json::to_string(&part.run(cue).await?),
            Self::Sync(part) => serde_json::to_string(&part.run(cue).await?),
        };
        say(&report?).await?;
        // Its costs can be read as long as it is there.
        input.next_line().await?;
        Ok(())
    }
}

async fn say(line: &str) -> Result<()> {
    let mut output = tokio::io::stdout();
    output.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(output.flush().await?)
}

/// A part in its process, prepared. Dropping it ends it.
pub struct Playing {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    name: String,
}

impl Playing {
    /// Starts a part and waits until it is prepared.
    ///
    /// # Errors
    ///
    /// When it ends instead; it says why on standard error.
    pub async fn start(part: &Part) -> Result<Self> {
        let told = serde_json::to_string(part)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([SUBCOMMAND, &told])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?).lines();
        let name = told.chars().skip(2).take_while(|char| *char != '"').collect();
        let mut playing = Self { child, input, output, name };
        let ready = playing.line().await?;
        ensure!(ready == "ready", "{}: {ready}", playing.name);
        Ok(playing)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Lets it begin.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn go(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"go\n").await?)
    }

    /// Waits for what it says at its end.
    ///
    /// # Errors
    ///
    /// When it fails instead.
    pub async fn done<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.line().await?;
        serde_json::from_str(&line).with_context(|| format!("{}: {line}", self.name))
    }

    async fn line(&mut self) -> Result<String> {
        let line = self.output.next_line().await?;
        line.with_context(|| format!("{} ended before it was done; see above", self.name))
    }
}
