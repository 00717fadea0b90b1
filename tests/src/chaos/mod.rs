//! The chaos run: the real programs on real servers, under a steady load, struck by one fault after another. Then
//! every webhook that was answered 200, and every effect that it owes, is looked for by its id.
//!
//! What is sent and what goes wrong follows from a seed: [`plan`] and [`story`] say how. How long anything takes is
//! the machine's.

mod bounds;
mod disk;
pub mod fault;
mod found;
mod ledger;
pub mod plan;
mod program;
mod recovery;
mod scene;
mod sender;
mod story;
mod strike;
mod table;
mod teller;
mod timeline;
mod verdict;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use fault::Fault;
use ledger::Ledger;
use plan::Plan;
use scene::Scene;
use story::Story;
use timeline::Timeline;
pub use timeline::Watcher;
use verdict::Verdict;

/// How long what is under way has to arrive after something has gone wrong.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// How long the load runs before the first fault.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// All that is random follows from it.
    pub seed: u64,
    /// Webhooks a second.
    pub rate: f64,
    /// What the sender's waits of 10, 40 and 90 s between its tries are multiplied by.
    pub retry_scale: f64,
    /// What goes wrong.
    pub plan: Plan,
}

/// One run. It can be asked for its table at any time.
pub struct Run {
    options: Options,
    ledger: Arc<Ledger>,
    verdict: Mutex<Option<Verdict>>,
    stop: CancellationToken,
}

impl Run {
    /// A run that has not begun. It ends early, and in good order, when `stop` is cancelled.
    #[must_use]
    pub fn new(options: Options, stop: CancellationToken) -> Self {
        Self { options, ledger: Arc::new(Ledger::new()), verdict: Mutex::default(), stop }
    }

    /// Does all of it in `dir`, where servers and programs leave their logs. What comes back is what is wrong, a line
    /// each; nothing, when all is as promised.
    ///
    /// # Errors
    ///
    /// When the run itself can't be done: a server does not start, the machine is broken.
    pub async fn go(&self, dir: &Path, watcher: Watcher) -> Result<Vec<String>> {
        std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
        let timeline = Arc::new(Timeline::new(&dir.join("timeline.log"), watcher)?);
        let story = Arc::new(Story::of(self.options.seed));
        let (ledger, stop) = (Arc::clone(&self.ledger), self.stop.clone());
        let set = Scene::set(dir, Arc::clone(&story), ledger, timeline, self.options.retry_scale, stop);
        let mut scene = tokio::select! {
            set = set => set?,
            () = self.stop.cancelled() => bail!("stopped before it began"),
        };
        scene.usual_kapso();
        scene.recover().await.context("before the first fault")?;
        // Definitions are written down a moment after they are made; a young queue may not survive a kill.
        scene.rabbitmq.sync_definitions().await?;
        scene.timeline.tell("all is running");

        let mut background = JoinSet::new();
        background.spawn(bounds::pulse(Arc::clone(&self.ledger)));
        background.spawn(Arc::clone(&scene.sender).load(self.options.rate));
        sleep(WARM_UP).await;
        let struck = self.strike_all(&mut scene).await;
        scene.sender.stop().await;
        let settled = match &struck {
            Ok(()) => scene.settle().await,
            // What was under way when the run broke off is not to be taken for lost.
            Err(_) => timeout(AFTER_A_FAILURE, scene.settle()).await.unwrap_or(Ok(())),
        };
        let mut verdict = match Verdict::of(&story, &self.ledger, &scene.pool, &scene.sim).await {
            Ok(verdict) => verdict,
            // Where nothing can be asked any more, what came before is the cause.
            Err(error) => return Err(struck.err().unwrap_or(error)),
        };
        for (what, failed) in [("the run broke off", struck), ("what is owed stays owed", settled)] {
            if let Err(error) = failed {
                verdict.wrong(what, format!("{error:#}"));
            }
        }
        bounds::judge(&self.ledger, &mut verdict);
        for program in [&scene.ingest, &scene.workers[0], &scene.workers[1]] {
            for complaint in program.complaints().await {
                verdict.wrong("programs that did not end as they should", complaint);
            }
        }
        let complaints = verdict.complaints();
        complaints.iter().for_each(|complaint| scene.timeline.note(complaint));
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(complaints)
    }

    /// The table so far, as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        table::render(&self.ledger, verdict.as_ref())
    }

    /// How many faults have struck so far.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.ledger.book().windows.len() - 1
    }

    async fn strike_all(&self, scene: &mut Scene) -> Result<()> {
        let strikes = &self.options.plan.0;
        for (nth, strike) in (1..).zip(strikes) {
            if self.stop.is_cancelled() {
                break;
            }
            let what = format!("fault {nth}/{}: {}", strikes.len(), strike.fault);
            scene.timeline.note(&format!("{what}, for {:.1} s", strike.hold.as_secs_f64()));
            self.ledger.begin(strike.fault, bounds::may_hide(strike));
            scene.strike(strike).await.with_context(|| what.clone())?;
            scene.timeline.note("the cause is gone");
            let took = scene.recover().await.with_context(|| what.clone())?;
            self.ledger.recovered(took);
            let twice = found::happened_twice(&scene.sim);
            ensure!(twice.is_empty(), "{what}: happened more than once: {}", twice.join(", "));
            scene.timeline.tell(&format!("{what}, recovered after {:.1} s", took.as_secs_f64()));
            if strike.fault == Fault::DeleteQueue {
                scene.queue_grows_up().await.with_context(|| what.clone())?;
            }
            sleep(strike.calm).await;
        }
        Ok(())
    }
}
