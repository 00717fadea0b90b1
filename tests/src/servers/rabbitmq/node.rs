//! One Erlang node: its name, its ports, its files, and commands to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::super::packages;
use crate::ports;

/// The name is known to its own port mapper only, so every private node can have the same one; the data is kept under
/// it.
const NAME: &str = "buzon@localhost";

/// Idle Erlang schedulers would spin for work, which two cores feel. Nodes talk to each other on the loopback only.
const ERL_ARGS: &str = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";

static CALLS: AtomicU32 = AtomicU32::new(0);

/// A private broker's node, seen from any process of its user.
#[derive(Debug, Clone)]
pub struct Node {
    dir: PathBuf,
    amqp: u16,
    distribution: u16,
    epmd: u16,
}

impl Node {
    /// Chooses ports (the last ones, where they are still free) and writes the configuration.
    pub(super) fn prepare(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
        let last = Self::attach(dir).ok();
        let node = Self {
            dir: dir.to_owned(),
            amqp: ports::again(last.as_ref().map(|node| node.amqp))?,
            distribution: ports::again(last.as_ref().map(|node| node.distribution))?,
            epmd: ports::again(last.as_ref().map(|node| node.epmd))?,
        };
        std::fs::write(dir.join("ports"), format!("{} {} {}", node.amqp, node.distribution, node.epmd))?;
        std::fs::write(dir.join("rabbitmq.conf"), node.configuration())?;
        std::fs::write(dir.join("advanced.config"), "[].\n")?;
        std::fs::write(dir.join("enabled_plugins"), "[].\n")?;
        std::fs::write(dir.join("environment"), "")?;
        Ok(node)
    }

    /// The node that was started in `dir`, perhaps by another process.
    ///
    /// # Errors
    ///
    /// When none was.
    pub fn attach(dir: &Path) -> Result<Self> {
        let file = dir.join("ports");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("no broker in {}", dir.display()))?;
        let mut ports = text.split_whitespace().map_while(|port| port.parse().ok());
        let mut next = || ports.next().with_context(|| format!("three ports in {}", file.display()));
        Ok(Self { dir: dir.to_owned(), amqp: next()?, distribution: next()?, epmd: next()? })
    }

    /// Where it keeps its things.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where it listens for clients.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        ports::loopback(self.amqp)
    }

    /// Where a client finds one of its vhosts.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        url(self.amqp, vhost)
    }

    /// Makes a vhost that the user `guest` may do everything in.
    ///
    /// Asked of the node itself in one call: `rabbitmqctl` takes twenty times as long to start.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub async fn create_vhost(&self, vhost: &str) -> Result<()> {
        ensure!(!vhost.contains(['"', '\\', '/']), "a vhost name without quotes or slashes: {vhost:?}");
        let made = self
            .eval(&format!(
                r#"rabbit_vhost:add(<<"{vhost}">>, <<"harness">>),
                rabbit_auth_backend_internal:set_permissions(
                    <<"guest">>, <<"{vhost}">>, <<".*">>, <<".*">>, <<".*">>, <<"harness">>)"#
            ))
            .await?;
        ensure!(made == "{ok, ok}", "can't make the vhost {vhost}: {made}");
        Ok(())
    }

    /// Lets the node evaluate Erlang expressions (no full stop at the end); the answer is `{ok, …}` or `{error, …}`.
    ///
    /// # Errors
    ///
    /// When it can't be asked.
    pub async fn eval(&self, erlang: &str) -> Result<String> {
        // The node lets each name in once at a time, and erl_call's own "random" one is the same for a whole second.
        let caller = format!("caller_{}_{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
        let mut call = Command::new("erl_call");
        call.args(["-h", &caller, "-e", "-timeout", "30", "-address"]);
        call.arg(format!("127.0.0.1:{}", self.distribution));
        self.run(call, &format!("{erlang}.\n")).await
    }

    /// `rabbitmqctl`.
    ///
    /// # Errors
    ///
    /// When the command fails; the message shows what it said.
    pub async fn ctl(&self, args: &[&str]) -> Result<String> {
        let mut ctl = Command::new(packages::rabbitmq()?.join("rabbitmqctl"));
        ctl.args(args);
        self.run(ctl, "").await.with_context(|| format!("rabbitmqctl {}", args.join(" ")))
    }

    async fn run(&self, mut command: Command, input: &str) -> Result<String> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").envs(self.environment());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let program = command.as_std().get_program().display().to_string();
        let mut child = command.spawn().with_context(|| format!("can't start {program}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let Output { status, stdout, stderr } = child.wait_with_output().await?;
        let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        ensure!(status.success(), "{status}: {}{}", said.trim(), complained.trim());
        Ok(said.trim().to_owned())
    }

    /// Where Erlang's port mapper listens.
    pub(super) fn epmd_addr(&self) -> SocketAddr {
        ports::loopback(self.epmd)
    }

    /// Erlang's port mapper, on a port of its own.
    pub(super) fn epmd_args(&self) -> [String; 4] {
        ["-port".to_owned(), self.epmd.to_string(), "-address".to_owned(), "127.0.0.1".to_owned()]
    }

    /// Everything that the scripts would otherwise take from `/etc`, `/var` or the caller.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("HOME", self.dir.display().to_string()),
            ("ERL_EPMD_PORT", self.epmd.to_string()),
            // Erlang would start a port mapper that outlives everything, where it finds none.
            ("ERL_FLAGS", "-start_epmd false".to_owned()),
            ("RABBITMQ_NODENAME", NAME.to_owned()),
            ("RABBITMQ_DIST_PORT", self.distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
            ("RABBITMQ_CONF_ENV_FILE", file("environment")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", file("generated")),
            ("RABBITMQ_PID_FILE", file("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERL_ARGS.to_owned()),
            // The script then becomes the server instead of waiting for it: one process id, and its signals arrive.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ]
    }

    fn configuration(&self) -> String {
        format!(
            "listeners.tcp.default = 127.0.0.1:{}\n\
             # The machine's disk is not ours to judge.\n\
             disk_free_limit.absolute = 50MB\n\
             loopback_users = none\n\
             # One log, on the console, which is a file of the harness.\n\
             log.file = false\n\
             log.console = true\n",
            self.amqp
        )
    }
}

/// Where a client finds a vhost of a private broker.
fn url(port: u16, vhost: &str) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/{}", vhost.replace('/', "%2f"))
}
