//! The product, a proxy before it and Kapso beyond that; and the doctor, asked about them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::product::{Product, binaries};
use harness::stage::{SECRET, Stage, WEBHOOK_PATH};
use harness::{ports, wait};
use kapso_sim::{Dialect, InboundMessage, Sim, SimConfig, Statuses};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::middle::{Habit, Middle};

pub(crate) const TOKEN: &str = "a-token-of-the-tests";

/// Whatever is going to happen has happened by then, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What the tools see of the environment.
const SETTINGS: [&str; 17] = [
    "KAPSO_META_PROXY_URL",
    "BUZON_ENV",
    "DATABASE_URL",
    "AMQP_URL",
    "INGEST_ADDR",
    "BUZON_INGEST_METRICS_ADDR",
    "BUZON_SPOOL_DIR",
    "BUZON_PUBLIC_URL",
    "BUZON_BODY_DEADLINE_MS",
    "BUZON_SHUTDOWN_DEADLINE_MS",
    "BUZON_STOP_GRACE_SECONDS",
    "KAPSO_WEBHOOK_SECRET",
    "KAPSO_API_TOKEN",
    "KAPSO_API_BASE_URL",
    "KAPSO_PLATFORM_URL",
    "KAPSO_PHONE_NUMBER_ID",
    "BUZON_WINDOW",
];

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) sim: Sim,
    _middle: Middle,
}

/// How a tool ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What the doctor found.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    json: Value,
}

impl Scene {
    pub(crate) async fn new() -> Result<Self> {
        Self::behind(Habit::Plain).await
    }

    /// Behind a proxy of this habit, registered with Kapso.
    pub(crate) async fn behind(habit: Habit) -> Result<Self> {
        let sim = Sim::start(SimConfig {
            webhook_secret: Some(SECRET.to_owned()),
            api_key: Some(TOKEN.to_owned()),
            dialect: Dialect::V2,
            time_scale: 0.1,
            statuses: Statuses::NONE,
            ..SimConfig::default()
        })
        .await?;
        let stage = Stage::new().await?;
        let middle = Middle::before(stage.setting("INGEST_ADDR").parse()?, habit).await?;
        sim.set_webhook_url(format!("{}{WEBHOOK_PATH}", middle.url()));
        let stage = stage
            .with("KAPSO_API_BASE_URL", sim.conversation_api_url())
            .with("KAPSO_PLATFORM_URL", sim.platform_url())
            .with("KAPSO_API_TOKEN", TOKEN)
            .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone())
            .with("BUZON_PUBLIC_URL", middle.url())
            .with("BUZON_INGEST_METRICS_ADDR", ports::loopback(ports::free()?).to_string());
        Ok(Self { stage, sim, _middle: middle })
    }

    /// Both programs, ready.
    pub(crate) async fn open(&self) -> Result<[Product; 2]> {
        Ok([self.stage.ingest().await?, self.stage.worker().await?])
    }

    /// Somebody has written, and it has arrived.
    pub(crate) async fn somebody_writes(&self) -> Result<()> {
        drop(self.sim.inbound(InboundMessage::text("+56955510001", "Hola")));
        wait::until("the message to arrive", PATIENCE, async || -> Result<bool> {
            let count: i64 =
                sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(self.stage.pool()).await?;
            Ok(count == 1)
        })
        .await?;
        ensure!(self.sim.idle(PATIENCE).await, "the simulator still has something on its way");
        Ok(())
    }

    /// Runs a program with these arguments, in the stage's environment, with this on its standard input.
    pub(crate) async fn run(&self, program: &str, args: &[&str], input: &[u8]) -> Result<Said> {
        let mut command = Command::new(binaries::path(program)?);
        command.env_clear().current_dir(self.stage.dir()).kill_on_drop(true).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for setting in SETTINGS.iter().filter(|setting| !self.stage.setting(setting).is_empty()) {
            command.env(setting, self.stage.setting(setting));
        }
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("its standard input")?;
        stdin.write_all(input).await?;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .context("a tool does not end")??;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Asks the doctor.
    pub(crate) async fn doctor(&self, args: &[&str]) -> Result<Told> {
        let args = [&["doctor", "--json"], args].concat();
        let said = self.run("worker", &args, b"").await?;
        let json = serde_json::from_str(&said.out).with_context(|| format!("no JSON: {said:?}"))?;
        Ok(Told { code: said.code, json })
    }
}

impl Told {
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().into_iter().flatten()
    }

    /// That this was found wrong, in words that contain these; the remedy is among them.
    pub(crate) fn names(&self, check: &str, about: &str, words: &[&str]) -> Result<&Self> {
        ensure!(self.code == Some(1), "the exit code: {self:?}");
        self.has("wrong", check, about, words)
    }

    /// That there is a finding with this mark, in words that contain these.
    pub(crate) fn has(&self, mark: &str, check: &str, about: &str, words: &[&str]) -> Result<&Self> {
        let found = self
            .findings()
            .filter(|it| it["mark"] == mark && it["check"] == check && it["about"] == about)
            .any(|it| words.iter().all(|word| it.to_string().contains(word)));
        ensure!(found, "{mark}: {check} {about} {words:?}? {:#}", self.json);
        Ok(self)
    }

    /// That nothing of this check, about this, is wrong.
    pub(crate) fn clears(&self, check: &str, about: &str) -> Result<&Self> {
        self.has("fine", check, about, &[])
    }

    /// All that is not as it should be, but for what depends on the machine.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let of_the_machine = |it: &&Value| it["about"] != "room" && it["about"] != "disk";
        self.findings().filter(|it| it["mark"] != "fine").filter(of_the_machine).collect()
    }
}
