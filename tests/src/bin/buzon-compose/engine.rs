//! The Docker engine, by its command line.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// What of the caller's environment leads to the engine. Nothing else is passed on: settings come from `.env`.
const PASSED: [&str; 8] = [
    "PATH",
    "HOME",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
];

/// How long a question to the engine may take. Builds and pulls have their own time.
const MOMENT: Duration = Duration::from_secs(120);

/// How many of the last lines of a command that failed are shown.
const SHOWN: usize = 40;

/// An engine that answers.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// `docker compose` (v2) rather than `docker-compose`.
    pub(crate) plugin: bool,
}

impl Engine {
    /// Looks for one, and for compose.
    pub(crate) async fn find() -> Result<Self> {
        let asked = Self { plugin: false };
        let version = asked.docker(["version", "--format", "{{.Server.Version}}"]).await?;
        let plugin = asked.docker(["compose", "version", "--short"]).await;
        let old = run(command("docker-compose").args(["version", "--short"]), MOMENT).await;
        let compose = match (&plugin, &old) {
            (Ok(version), _) => format!("docker compose {}", version.trim()),
            (Err(_), Ok(version)) => format!("docker-compose {}", version.trim()),
            (Err(_), Err(error)) => anyhow::bail!("neither docker compose nor docker-compose: {error:#}"),
        };
        crate::say(&format!("docker {}, {compose}", version.trim()));
        Ok(Self { plugin: plugin.is_ok() })
    }

    /// Runs `docker`, and returns what it wrote.
    pub(crate) async fn docker<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<String> {
        self.docker_within(MOMENT, args).await
    }

    /// The same, with another time.
    pub(crate) async fn docker_within<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        time: Duration,
        args: I,
    ) -> Result<String> {
        // Stages can be tagged, and are kept, only by the builder that compose 1 uses, too.
        run(command("docker").env("DOCKER_BUILDKIT", "0").args(args), time).await
    }

    /// All that the engine knows of a container or an image.
    pub(crate) async fn inspect(&self, what: &str) -> Result<Value> {
        let text = self.docker(["inspect", what]).await?;
        let list: Value = serde_json::from_str(&text).context("docker inspect did not print JSON")?;
        Ok(list[0].clone())
    }

    /// The id of an image, if there is one of that name.
    pub(crate) async fn image(&self, name: &str) -> Option<Value> {
        let text = self.docker(["image", "inspect", name]).await.ok()?;
        let list: Value = serde_json::from_str(&text).ok()?;
        list.get(0).cloned()
    }
}

/// A command with an environment of its own.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// Runs it to its end; an error shows the end of what it said.
pub(crate) async fn run(command: &mut Command, time: Duration) -> Result<String> {
    let said = end(command, time).await?;
    ensure!(said.code == Some(0), "{}: exit code {:?}\n{}", shown(command), said.code, said.tail());
    Ok(said.out)
}

/// As it was typed.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    err: String,
}

impl Said {
    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.out.lines().chain(self.err.lines()).collect();
        lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
    }
}

/// Runs it to its end, whatever that is.
pub(crate) async fn end(command: &mut Command, time: Duration) -> Result<Said> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(time, command.output())
        .await
        .with_context(|| format!("{} did not end within {} s", shown(command), time.as_secs()))?
        .with_context(|| format!("can't run {}", shown(command)))?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs `first | second`, for streams that are too large to be held.
pub(crate) async fn pipe(first: &Path, second: &mut Command, time: Duration) -> Result<String> {
    let mut source =
        command(first).stdout(Stdio::piped()).spawn().with_context(|| first.display().to_string())?;
    let stream: Stdio = source.stdout.take().context("its output")?.try_into()?;
    let out = run(second.stdin(stream), time).await?;
    let status = source.wait().await?;
    ensure!(status.success(), "{}: {status}", first.display());
    Ok(out)
}
