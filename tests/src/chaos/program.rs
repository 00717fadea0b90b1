//! A program that is started again whenever it ends, as compose does with `restart: unless-stopped`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::timeline::Timeline;
use crate::process::Signal;
use crate::product::{Product, Settings};

/// How often ends are looked for. Compose too waits a tenth of a second before it starts a program again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Longer than the product's own deadline for a stop.
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// One program, kept running. Dropped, it is killed.
pub(super) struct Program {
    slot: Arc<Mutex<Slot>>,
    http: SocketAddr,
    _keeper: JoinSet<()>,
}

struct Slot {
    name: &'static str,
    program: &'static str,
    settings: Settings,
    http: SocketAddr,
    /// Every start has a directory below, with a log.
    dir: PathBuf,
    timeline: Arc<Timeline>,
    running: Option<Product>,
    wanted: bool,
    /// Ends that nobody asked for, and stops that were none.
    complaints: Vec<String>,
}

impl Program {
    /// Starts `program`, called `name`, which answers `/readyz` on `http`.
    pub(super) fn start(
        name: &'static str,
        program: &'static str,
        settings: Settings,
        http: SocketAddr,
        dir: PathBuf,
        timeline: Arc<Timeline>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
        let complaints = Vec::new();
        let (running, wanted) = (None, true);
        let slot = Slot { name, program, settings, http, dir, timeline, running, wanted, complaints };
        let slot = Arc::new(Mutex::new(slot));
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(Arc::clone(&slot)));
        Ok(Self { slot, http, _keeper: keeper })
    }

    /// `kill -9`; it is started again.
    pub(super) async fn kill(&self) {
        let mut slot = self.slot.lock().await;
        if let Some(mut running) = slot.running.take() {
            slot.note(running.pid(), "kill -9");
            running.kill();
        }
    }

    /// SIGTERM, and waits for its end; it is started again.
    pub(super) async fn terminate(&self) {
        let mut slot = self.slot.lock().await;
        slot.terminate().await;
    }

    /// SIGTERM, and waits for its end; it stays away until [`Self::wake`].
    pub(super) async fn stop(&self) {
        let mut slot = self.slot.lock().await;
        slot.wanted = false;
        slot.terminate().await;
    }

    /// It is wanted again.
    pub(super) async fn wake(&self) {
        self.slot.lock().await.wanted = true;
    }

    /// Does it say that it is ready?
    pub(super) async fn ready(&self, client: &reqwest::Client) -> Result<bool> {
        let answer = client.get(format!("http://{}/readyz", self.http)).send().await?;
        let status = answer.status();
        ensure!(status == reqwest::StatusCode::OK, "{status}: {}", answer.text().await.unwrap_or_default());
        Ok(true)
    }

    /// What was wrong with its ends so far.
    pub(super) async fn complaints(&self) -> Vec<String> {
        self.slot.lock().await.complaints.clone()
    }
}

impl Slot {
    fn note(&self, pid: u32, what: &str) {
        self.timeline.note(&format!("{} (pid {pid}): {what}", self.name));
    }

    fn complain(&mut self, pid: u32, what: &str) {
        self.note(pid, what);
        self.complaints.push(format!("{} (pid {pid}): {what}", self.name));
    }

    async fn terminate(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let pid = running.pid();
        self.note(pid, "SIGTERM");
        match running.process().stop(Signal::Terminate, STOP_DEADLINE).await {
            Ok(status) if status.success() => self.note(pid, "ended in good order"),
            Ok(status) => self.complain(pid, &format!("was asked to stop, and ended so: {status}")),
            Err(error) => self.complain(pid, &format!("did not stop: {error:#}")),
        }
    }

    /// Starts it if it should run and does not.
    fn look(&mut self) -> Result<()> {
        if let Some(running) = &mut self.running {
            let Some(status) = running.process().ended()? else { return Ok(()) };
            let pid = running.pid();
            self.running = None;
            self.complain(pid, &format!("ended by itself: {status}"));
        }
        if self.wanted {
            let running = Product::start(self.program, &["run"], &self.settings, self.http, &self.dir)?;
            self.note(running.pid(), "started");
            self.running = Some(running);
        }
        Ok(())
    }
}

async fn keep(slot: Arc<Mutex<Slot>>) {
    loop {
        let mut look = slot.lock().await;
        if let Err(error) = look.look() {
            let name = look.name;
            look.timeline.note(&format!("{name}: {error:#}"));
        }
        drop(look);
        sleep(BETWEEN_LOOKS).await;
    }
}
