//! Where a run takes place: a clean copy of the checkout, settings of its own, one compose project.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{ports, scratch};

use crate::compose::Compose;
use crate::engine::{self, Engine};

/// The compose project, and what the names of its images begin with.
pub(crate) const PROJECT: &str = "buzon-compose-test";

/// The webhook's secret: with what a shell, an env file or compose could take for their own.
pub(crate) const SECRET: &str = "a $ecret of the #compose \"test\" = 1";

/// The key of the simulated API.
const TOKEN: &str = "a-token-of-the-compose-test";

/// Ports on the loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) ingest: u16,
    pub(crate) sim: u16,
    pub(crate) http: u16,
    pub(crate) https: u16,
}

/// A run's own place.
pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) compose: Compose,
    /// The clean copy.
    pub(crate) dir: PathBuf,
    pub(crate) ports: Ports,
    /// Held as long as the run lasts: two of them would share containers.
    _lock: File,
}

impl Place {
    /// Copies the checkout, and takes away what a run before left behind.
    pub(crate) async fn make(engine: Engine) -> Result<Self> {
        let lock = lock()?;
        let checkout = scratch::checkout()?;
        let home = checkout.join(".run").join("compose");
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        let dir = home.join("checkout");
        copy(&checkout, &dir).await?;
        let ports = Ports {
            ingest: ports::free()?,
            sim: ports::free()?,
            http: ports::free()?,
            https: ports::free()?,
        };
        fs::write(dir.join(".env"), settings(ports))?;
        let compose = Compose::of(engine.clone(), dir.clone(), cargo_config());
        compose.down().await.context("what an earlier run left can't be removed")?;
        Ok(Self { engine, compose, dir, ports, _lock: lock })
    }

    /// Containers, networks and volumes go; images stay for the next time.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.compose.down().await?;
        let mine = format!("label=com.docker.compose.project={PROJECT}");
        for kind in [&["ps", "-aq"][..], &["volume", "ls", "-q"], &["network", "ls", "-q"]] {
            let args = kind.iter().copied().chain(["--filter", &mine]);
            let left = self.engine.docker(args).await?;
            ensure!(left.trim().is_empty(), "left behind ({}): {left}", kind.join(" "));
        }
        fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

fn lock() -> Result<File> {
    let path = std::env::temp_dir().join(format!("{PROJECT}.lock"));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    file.try_lock().with_context(|| format!("another run is under way ({})", path.display()))?;
    Ok(file)
}

/// The work tree as git sees it: what is committed or could be, and nothing that is ignored.
async fn copy(checkout: &Path, to: &Path) -> Result<()> {
    let mut git = engine::command("git");
    git.current_dir(checkout).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let files = engine::run(&mut git, Duration::from_secs(60)).await?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (checkout.join(file), to.join(file));
        // In the index, and deleted since.
        if !from.exists() {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&from, &to).with_context(|| format!("can't copy {file}"))?;
    }
    Ok(())
}

/// What a person would write for a trial, with ports that nobody uses and a Kapso that is in a hurry.
fn settings(ports: Ports) -> String {
    let Ports { ingest, sim, http, https } = ports;
    format!(
        "KAPSO_WEBHOOK_SECRET='{SECRET}'
KAPSO_API_TOKEN='{TOKEN}'
KAPSO_API_BASE_URL=http://kapso-sim:8080/api/v1
KAPSO_PLATFORM_URL=http://kapso-sim:8080/platform/v1
KAPSO_PHONE_NUMBER_ID=118800223344556
BUZON_PUBLIC_URL=http://ingest:8000
BUZON_API_CALLS_A_MINUTE=100000
BUZON_REPLY_MAX_AGE_SECONDS=3600
BUZON_PORT={ingest}
SIM_PORT={sim}
SIM_TIME_SCALE=0.1
BUZON_DOMAIN=localhost
BUZON_HTTP_PORT=127.0.0.1:{http}
BUZON_HTTPS_PORT=127.0.0.1:{https}
BUZON_IMAGE_PREFIX={PROJECT}
"
    )
}

/// The machine's own cargo configuration: a mirror, if it has one.
fn cargo_config() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.and_then(|home| fs::read_to_string(home.join("config.toml")).ok()).unwrap_or_default()
}
