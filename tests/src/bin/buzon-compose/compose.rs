//! Compose, whichever there is, in the run's own project.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::wait;
use serde_json::Value;
use tokio::process::Command;

use crate::engine::{self, Engine, Said};
use crate::place::PROJECT;

/// How long a build of everything from nothing may take, on a machine that does other things as well.
const BUILD: Duration = Duration::from_secs(90 * 60);

/// How long starting or stopping may take.
const START: Duration = Duration::from_secs(300);

/// How long until a container is healthy: the longest start period and a few checks.
const HEALTHY: Duration = Duration::from_secs(180);

/// Every profile, so that what belongs to one is stopped and removed as well.
const PROFILES: [&str; 6] = ["--profile", "dev", "--profile", "public", "--profile", "tools"];

/// The project.
#[derive(Clone, Debug)]
pub(crate) struct Compose {
    engine: Engine,
    dir: PathBuf,
    cargo_config: String,
}

impl Compose {
    pub(crate) fn of(engine: Engine, dir: PathBuf, cargo_config: String) -> Self {
        Self { engine, dir, cargo_config }
    }

    /// The text of the build argument.
    pub(crate) fn cargo_config(&self) -> &str {
        &self.cargo_config
    }

    /// The command, without arguments.
    fn command(&self) -> Command {
        let mut command = if self.engine.plugin {
            let mut docker = engine::command("docker");
            docker.arg("compose");
            docker
        } else {
            engine::command("docker-compose")
        };
        command.current_dir(&self.dir).env("CARGO_CONFIG", &self.cargo_config).args(["-p", PROJECT]);
        command
    }

    /// How a person looks at it.
    pub(crate) fn by_hand(&self) -> String {
        let compose = if self.engine.plugin { "docker compose" } else { "docker-compose" };
        format!("cd {} && {compose} -p {PROJECT} ps", self.dir.display())
    }

    async fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, time: Duration, args: I) -> Result<String> {
        engine::run(self.command().args(args), time).await
    }

    /// Runs it with these arguments.
    pub(crate) async fn call(&self, args: &[&str]) -> Result<String> {
        self.run(START, args).await
    }

    /// The same, whatever its end is.
    pub(crate) async fn end(&self, args: &[&str]) -> Result<Said> {
        engine::end(self.command().args(args), START).await
    }

    /// Builds our images, one after the other: without BuildKit, compose 2 builds all at once, and each of them compiles
    /// what they share.
    pub(crate) async fn build(&self) -> Result<()> {
        let mut command = self.command();
        command.env("COMPOSE_PARALLEL_LIMIT", "1").args(PROFILES).arg("build");
        engine::run(&mut command, BUILD).await.map(|_| ())
    }

    /// Brings up what there is without a profile, and the simulator.
    pub(crate) async fn up(&self, workers: u32) -> Result<()> {
        let scale = format!("worker={workers}");
        let args = ["--profile", "dev", "up", "-d", "--no-build", "--scale", &scale];
        self.run(START, args).await.map(|_| ())
    }

    /// Removes everything that is the project's, volumes included.
    pub(crate) async fn down(&self) -> Result<()> {
        let args = PROFILES.iter().chain(&["down", "--volumes", "--remove-orphans", "--timeout", "30"]);
        self.run(START, args).await.map(|_| ())
    }

    /// The last lines of every container, for a run that failed.
    pub(crate) async fn logs(&self) -> String {
        let args = PROFILES.iter().chain(&["logs", "--no-color", "--tail", "15"]);
        self.run(START, args).await.unwrap_or_else(|error| format!("(no logs: {error:#})"))
    }

    /// The containers of a service that have not been removed.
    pub(crate) async fn containers(&self, service: &str) -> Result<Vec<Container>> {
        let project = format!("label=com.docker.compose.project={PROJECT}");
        let of = format!("label=com.docker.compose.service={service}");
        let mut args = vec!["ps", "-aq", "--no-trunc", "--filter", &project];
        if !service.is_empty() {
            args.extend(["--filter", &of]);
        }
        let ids = self.engine.docker(args).await?;
        let mut containers = Vec::new();
        for id in ids.lines() {
            // It can be gone by now.
            if let Ok(said) = self.engine.inspect(id).await {
                containers.push(Container(said));
            }
        }
        // Those that `run` made are no service's.
        containers.retain(|it| it.label("com.docker.compose.oneoff") != "True");
        Ok(containers)
    }

    /// The one container of a service.
    pub(crate) async fn one(&self, service: &str) -> Result<Container> {
        let found = self.containers(service).await?;
        ensure!(found.len() == 1, "{} containers of {service}", found.len());
        found.into_iter().next().context("one container")
    }

    /// Waits until so many containers of a service run and are healthy, and no others are there.
    pub(crate) async fn healthy(&self, service: &str, count: usize) -> Result<()> {
        wait::until(&format!("{count} healthy of {service}"), HEALTHY, async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let found = self.containers(service).await?;
            let states: Vec<_> = found.iter().map(Container::state).collect();
            ensure!(
                found.len() == count && states.iter().all(|state| state == "healthy"),
                "{service}: {states:?}"
            );
            Ok(true)
        })
        .await
    }

    /// Runs a program in the one container of a service.
    pub(crate) async fn inside(&self, service: &str, args: &[&str]) -> Result<String> {
        let container = self.one(service).await?;
        let exec = ["exec", container.id()];
        self.engine.docker(exec.iter().chain(args)).await
    }
}

/// What the engine says of a container.
#[derive(Clone, Debug)]
pub(crate) struct Container(pub(crate) Value);

impl Container {
    pub(crate) fn id(&self) -> &str {
        self.0["Id"].as_str().unwrap_or_default()
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.0["Config"]["Labels"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn service(&self) -> &str {
        self.label("com.docker.compose.service")
    }

    /// Its health, or where nobody looks at that, whether it runs.
    pub(crate) fn state(&self) -> String {
        let state = &self.0["State"];
        let running = state["Status"].as_str().unwrap_or_default();
        match state["Health"]["Status"].as_str() {
            Some(health) if running == "running" => health.to_owned(),
            _ => running.to_owned(),
        }
    }

    /// The process id of its first program, on the engine's machine.
    pub(crate) fn pid(&self) -> i64 {
        self.0["State"]["Pid"].as_i64().unwrap_or_default()
    }

    /// When it was started last.
    pub(crate) fn started(&self) -> &str {
        self.0["State"]["StartedAt"].as_str().unwrap_or_default()
    }

    /// How it ended.
    pub(crate) fn exit_code(&self) -> i64 {
        self.0["State"]["ExitCode"].as_i64().unwrap_or(-1)
    }
}
