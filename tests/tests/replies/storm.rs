//! One storm: questions in, trouble all around, and then quiet until everything that is owed has an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::stage::{SECRET, Stage};
use harness::wait;
use kapso_sim::dialect::Dialect;
use kapso_sim::{InboundMessage, Sim, SimConfig, Statuses};
use tokio::time::{interval, sleep};

use crate::trouble;
use crate::verdict::{Question, Verdict};

/// The key of the simulated API.
const TOKEN: &str = "a-token-of-the-storm";

/// How many questions one person asks, one after the other. Each has an answer of its own, so that order shows.
const EACH: usize = 10;

/// How many programs work at once.
const WORKERS: usize = 3;

/// Between two questions: fast enough for a backlog behind each trouble, slow enough for many kills.
const PACE: Duration = Duration::from_millis(12);

/// Between two kills: what was struck comes back while the next one is struck.
const BETWEEN_KILLS: Duration = Duration::from_secs(4);

/// What a killed worker had under way is unknown after half a minute, and each such reply holds its lane until its
/// evidence is there; what is asked again may be struck again.
const CALM: Duration = Duration::from_secs(600);

/// How Kapso is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Api {
    Conversation,
    MetaProxy,
}

/// The product, with a Kapso that behaves badly.
pub(crate) struct Storm {
    stage: Stage,
    sim: Sim,
}

impl Storm {
    pub(crate) async fn brew(api: Api, dialect: Dialect, statuses: Statuses) -> Result<Self> {
        let sim = Sim::start(SimConfig {
            webhook_secret: Some(SECRET.to_owned()),
            api_key: Some(TOKEN.to_owned()),
            time_scale: 0.1,
            dialect,
            statuses,
            shuffle: true,
            seed: 20_261_125,
            ..SimConfig::default()
        })
        .await?;
        let stage = Stage::new().await?;
        sim.set_webhook_url(stage.webhook_url());
        let base = match api {
            Api::Conversation => sim.conversation_api_url(),
            Api::MetaProxy => sim.meta_proxy_url(),
        };
        let rules = stage.dir().join("buzon.toml");
        std::fs::write(&rules, rule_book())?;
        let stage = stage
            .with("KAPSO_API_BASE_URL", base)
            .with("KAPSO_API_TOKEN", TOKEN)
            .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone())
            .with("BUZON_CONFIG", rules.display().to_string())
            // Kapso is not the only thing that is slow here.
            .with("BUZON_API_CALLS_A_MINUTE", "1000000")
            .with("BUZON_UNKNOWN_SETTLE_SECONDS", "5");
        Ok(Self { stage, sim })
    }

    /// Asks so many questions, waits for the end of everything, and judges.
    pub(crate) async fn rage(self, questions: usize) -> Result<()> {
        let _ingest = self.stage.ingest().await?;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(self.stage.worker().await?);
        }
        trouble::plan(&self.sim);
        let over = AtomicBool::new(false);
        let (asked, kills) = tokio::join!(self.ask(questions, &over), self.strike(&mut workers, &over));
        let (asked, kills) = (asked?, kills?);
        self.sim.clear_faults();
        let settled = self.becomes_quiet().await;
        let verdict = Verdict::of(&asked, &self.sim, self.stage.pool()).await?;
        println!("{questions} questions, {kills} kills: {verdict}");
        verdict.is_as_promised()?;
        settled
    }

    /// Everybody asks in turn; one person's questions come one after the other.
    async fn ask(&self, questions: usize, over: &AtomicBool) -> Result<Vec<Question>> {
        let mut pace = interval(PACE);
        let mut asked = Vec::with_capacity(questions);
        let people = questions.div_ceil(EACH);
        for nth in 0..questions {
            pace.tick().await;
            let (person, of_theirs) = (nth % people, nth / people);
            let message = InboundMessage::text(format!("+56955{person:07}"), keyword(of_theirs));
            let ids = self.sim.inbound(message);
            asked.push(Question { ids, answer: answer(of_theirs) });
        }
        ensure!(self.sim.idle(CALM).await, "webhooks are still on their way");
        over.store(true, Ordering::Relaxed);
        Ok(asked)
    }

    /// `kill -9`, one worker after the other, each started again; how often.
    async fn strike(&self, workers: &mut [Product], over: &AtomicBool) -> Result<usize> {
        let mut kills = 0;
        while !over.load(Ordering::Relaxed) {
            sleep(BETWEEN_KILLS).await;
            let nth = kills % workers.len();
            if let Some(worker) = workers.get_mut(nth) {
                worker.kill();
                *worker = self.stage.worker_unready()?;
                kills += 1;
            }
        }
        for worker in workers {
            worker.ready(CALM).await?;
        }
        Ok(kills)
    }

    /// Waits until nothing that is owed is still to be done or to be settled.
    async fn becomes_quiet(&self) -> Result<()> {
        wait::until("everything that is owed to have an end", CALM, async || -> Result<bool> {
            let open: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM effects WHERE state = 'pending' OR state = 'unknown' AND kind = 'send_text'
                 AND NOT EXISTS (SELECT FROM effect_doubts WHERE effect_id = id AND given_up_at IS NOT NULL)",
            )
            .fetch_one(self.stage.pool())
            .await?;
            ensure!(open == 0, "{open} are open");
            Ok(true)
        })
        .await
    }
}

/// What the question of this number says.
fn keyword(of_theirs: usize) -> String {
    format!("pregunta {}", word(of_theirs))
}

/// How it is answered.
fn answer(of_theirs: usize) -> String {
    format!("respuesta {}", word(of_theirs))
}

/// A word that is in no other.
fn word(of_theirs: usize) -> &'static str {
    const WORDS: [&str; EACH] =
        ["uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez"];
    WORDS[of_theirs % EACH]
}

/// A rule for each question, no guard against so many, and time enough for all of them.
fn rule_book() -> String {
    let rules = (0..EACH).map(|nth| {
        let (word, answer) = (word(nth), answer(nth));
        format!("[[rule]]\nname = {word:?}\nkeywords = [{word:?}]\nmatch = \"word\"\nreply = {answer:?}\n")
    });
    let head = "[reply]\nmax_age = \"6h\"\nat_most = { per_minute = 10000, per_hour = 10000 }\n";
    head.to_owned() + &rules.collect::<String>()
}
