//! End to end: at a steady rate, from the time at which a webhook was meant to be sent to the commit of its row, and to
//! the reply as Kapso sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::TryStreamExt as _;
use harness::product::{Product, READY_DEADLINE};
use kapso_sim::{Sim, SimConfig, Statuses};
use sqlx::Row as _;
use time::OffsetDateTime;

use super::{Bench, tell};
use crate::latency::{Latencies, Latency};
use crate::part::Part;
use crate::place::Place;
use crate::schedule::Schedule;
use crate::send::{Sending, Sent};
use crate::traffic::{TURN, Traffic};
use crate::usage::{Watched, memory};
use crate::verify::verify;

/// The runs, each with its rate in webhooks a second (a large business, and ten times as much) and how long it takes in
/// seconds.
pub(super) const RUNS: [(&str, f64, f64); 5] = [
    ("end-to-end-320", 320.0, 45.0),
    ("end-to-end-3300", 3_300.0, 45.0),
    ("end-to-end-320-long", 320.0, 600.0),
    ("end-to-end-3300-long", 3_300.0, 600.0),
    ("endurance", 500.0, 3_600.0),
];

const WARM_UP: f64 = 5.0;

/// The people who write.
const CONTACTS: u64 = 60_000;

/// What is still under way at the end has so long to arrive.
const SETTLE: Duration = Duration::from_secs(60);

/// The guide's rule, and nothing that keeps a long load from being answered: it asks again and again in the same
/// conversations, and the statuses in it are of messages that somebody else must have sent.
const RULES: &str = r#"[reply]
at_most = { per_minute = 1000, per_hour = 100000 }

[takeover]
pause = "0s"

[[rule]]
name = "ayuda"
keywords = ["ayuda"]
reply = "¿En qué puedo ayudarte?"
"#;

const TOKEN: &str = "a-key-of-the-bench";

impl Bench {
    /// One run at a steady rate, with replies and marks, looked for to the last webhook.
    pub(super) async fn steadily(&mut self, scenario: &str, rate: f64, seconds: f64) -> Result<()> {
        let began = Instant::now();
        let mut place = self.servers.place().await?;
        let sim = Sim::start(kapso()).await?;
        let rules = place.dir().join("buzon.toml");
        std::fs::write(&rules, RULES)?;
        for (name, value) in [
            ("BUZON_CONFIG", rules.display().to_string()),
            ("KAPSO_API_BASE_URL", sim.meta_proxy_url()),
            ("KAPSO_API_TOKEN", TOKEN.to_owned()),
            ("BUZON_API_CALLS_A_MINUTE", "10000000".to_owned()),
        ] {
            place.settings.insert(name.to_owned(), value);
        }
        let (mut ingest, mut worker) = (place.ingest().await?, place.worker()?);
        worker.ready(READY_DEADLINE).await?;
        let mut sending = self.load(place.door, Some(rate), seconds, WARM_UP);
        (sending.stream.rate, sending.stream.contacts) = (rate, CONTACTS);
        sending.stream.since = OffsetDateTime::now_utc().unix_timestamp();
        let traffic = Traffic::of(sending.stream.clone())?;
        let watched = vec![
            Watched { name: "ingest", pid: ingest.pid() },
            Watched { name: "worker", pid: worker.pid() },
        ];
        tell(began, &format!("{scenario}: {seconds} s"));
        let pids = [ingest.pid(), worker.pid()];
        // What grows all the time shows from there to the end.
        let early = async {
            tokio::time::sleep(Duration::from_secs_f64(WARM_UP + seconds / 10.0)).await;
            pids.map(|pid| memory(pid).0)
        };
        let play = self.play::<Sent>("generator", Part::Send(sending.clone()), watched);
        let (played, early) = tokio::join!(play, early);
        let (sent, cpu) = played?;
        let unstored = behind(&place, sent.count).await?;
        let unsent = pending(&place).await?;
        self.figures.add(scenario, "answered", "/s", sent.rate);
        self.figures.add(scenario, "not answered 200", "", sent.refused.len() as f64);
        self.add_latency(scenario, "answer", sent.latency);
        let costs = cpu.per_event(sent.count);
        self.add_costs(scenario, "all", &costs, &["generator", "ingest", "broker", "worker", "postgres"]);
        self.figures.add(scenario, "not stored yet at the end", "", unstored as f64);
        self.figures.add(scenario, "effects that wait at the end", "", unsent as f64);
        for ((name, pid), early) in ["ingest", "worker"].into_iter().zip(pids).zip(early) {
            let (now, most) = memory(pid);
            self.figures.add(scenario, &format!("{name}: resident after a tenth"), "MiB", early);
            self.figures.add(scenario, &format!("{name}: resident at the end"), "MiB", now);
            self.figures.add(scenario, &format!("{name}: resident at the most"), "MiB", most);
        }

        tell(began, &format!("{scenario}: looking for everything"));
        place.projected(sent.count - sent.refused.len() as u64).await?;
        let settled = settled(&place).await;
        let stored = stored(&place, &traffic, &sending, &sent).await?;
        self.add_latency(scenario, "row", stored);
        let (replied, in_doubt) = replied(&place, &sim, &traffic, &sending, &sent).await?;
        self.add_latency(scenario, "reply", replied);
        self.figures.add(scenario, "replies in doubt", "", in_doubt as f64);
        settled?;
        verify(&place.pool, &traffic, &sent).await?.judge()?;
        self.stop(&mut ingest, &mut worker).await?;
        sim.stop().await?;
        self.servers.clear(place).await
    }

    async fn stop(&mut self, ingest: &mut Product, worker: &mut Product) -> Result<()> {
        ingest.terminate(READY_DEADLINE).await?;
        worker.terminate(READY_DEADLINE).await?;
        Ok(())
    }

    fn add_latency(&mut self, scenario: &str, what: &str, latency: Latency) {
        for (name, value) in
            [("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("longest", latency.max)]
        {
            self.figures.add(scenario, &format!("{what}: {name}"), "ms", value);
        }
    }
}

/// A Kapso without limits that tells nothing by itself: the load does.
fn kapso() -> SimConfig {
    SimConfig {
        api_key: Some(TOKEN.to_owned()),
        lenient: true,
        statuses: Statuses::NONE,
        rate_limit: None,
        ..SimConfig::default()
    }
}

/// How many webhooks are not projected yet.
async fn behind(place: &Place, sent: u64) -> Result<u64> {
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL")
        .fetch_one(&place.pool)
        .await?;
    Ok(sent.saturating_sub(u64::try_from(stored)?))
}

/// How many effects are due and have not left.
async fn pending(place: &Place) -> Result<u64> {
    let pending: i64 = sqlx::query_scalar("SELECT count(*) FROM effects WHERE state = 'pending'")
        .fetch_one(&place.pool)
        .await?;
    Ok(u64::try_from(pending)?)
}

/// Waits until every reply has left. Marks may be covered by later ones, and are not waited for.
async fn settled(place: &Place) -> Result<()> {
    harness::wait::until("the replies to leave", SETTLE, async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM effects WHERE state = 'pending' AND kind = 'send_text'")
                .fetch_one(&place.pool)
                .await?;
        ensure!(waiting == 0, "{waiting} wait");
        anyhow::Ok(true)
    })
    .await
}

/// When the webhook of this number was meant to be sent, in seconds of the Unix epoch; none in the warm-up.
fn intended(sending: &Sending, sent: &Sent, number: u64) -> Option<f64> {
    let after = Schedule::new(sending.rate?).intended(number - sent.first).as_secs_f64();
    (after >= sending.warm_up).then_some(sent.started + after)
}

/// From then to the commit. Postgres notes a commit's time just before it is flushed, on the clock that the load's
/// times are read from.
async fn stored(place: &Place, traffic: &Traffic, sending: &Sending, sent: &Sent) -> Result<Latency> {
    let mut numbers = HashMap::new();
    let mut body = Vec::new();
    for number in sent.first..sent.first + sent.count {
        body.clear();
        traffic.write(number, &mut body);
        numbers.insert(traffic.id(number, &body).0.as_bytes().to_vec(), number);
    }
    let mut latencies = Latencies::new()?;
    let mut rows = sqlx::query(
        "SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS committed FROM webhooks",
    )
    .fetch(&place.pool);
    while let Some(row) = rows.try_next().await? {
        let number = numbers.get(row.try_get::<&[u8], _>("id")?);
        if let Some(intended) = number.and_then(|number| intended(sending, sent, *number)) {
            let committed: f64 = row.try_get("committed")?;
            latencies.add(Duration::try_from_secs_f64(committed - intended).unwrap_or_default());
        }
    }
    Ok(latencies.summary())
}

/// From then to the reply's arrival at Kapso; none may be missing, and none may come twice.
async fn replied(
    place: &Place,
    sim: &Sim,
    traffic: &Traffic,
    sending: &Sending,
    sent: &Sent,
) -> Result<(Latency, u64)> {
    let mut asked: HashMap<String, u64> = HashMap::new();
    let refused: Vec<u64> = sent.refused.iter().map(|refused| refused.number).collect();
    for number in (sent.first..sent.first + sent.count).step_by(usize::try_from(TURN)?) {
        if traffic.asks(number) && !refused.contains(&number) {
            asked.insert(traffic.message(number), number);
        }
    }
    let names: Vec<(String, String)> = sqlx::query_as(
        "SELECT sent_message_id, message_id FROM effects WHERE kind = 'send_text' AND state = 'done'",
    )
    .fetch_all(&place.pool)
    .await?;
    let caused: HashMap<String, String> = names.into_iter().collect();
    let mut latencies = Latencies::new()?;
    let mut answered = HashMap::<u64, u32>::new();
    for reply in sim.accepted_sends() {
        let cause = caused.get(&reply.wamid).or_else(|| caused.get(&reply.message_id));
        let Some(number) = cause.and_then(|message| asked.get(message)) else { continue };
        *answered.entry(*number).or_default() += 1;
        if let Some(intended) = intended(sending, sent, *number) {
            let took = reply.at_ms as f64 / 1000.0 - intended;
            latencies.add(Duration::try_from_secs_f64(took).unwrap_or_default());
        }
    }
    let twice = answered.values().filter(|times| **times > 1).count();
    ensure!(twice == 0, "{twice} replies left more than once");
    let doubts: i64 =
        sqlx::query_scalar("SELECT count(*) FROM effects WHERE kind = 'send_text' AND state = 'unknown'")
            .fetch_one(&place.pool)
            .await?;
    let doubts = u64::try_from(doubts)?;
    let missing = (asked.len() - answered.len()) as u64;
    ensure!(
        missing <= doubts,
        "{missing} of {} that asked got no reply, and {doubts} are in doubt",
        asked.len()
    );
    Ok((latencies.summary(), doubts))
}
