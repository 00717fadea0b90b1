//! A stage with a simulated Kapso beside it, some of whose webhooks never leave.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::product::Product;
use harness::stage::{SECRET, Stage};
use harness::{ports, wait};
use kapso_sim::{Action, Dialect, InboundMessage, SentIds, Sim, SimConfig, Statuses};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

pub(crate) const TOKEN: &str = "a-token-of-the-tests";

/// Whatever is going to happen has happened by then, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Beyond several looks of the dispatcher: what it would wrongly do, it has done by then.
pub(crate) const A_WHILE: Duration = Duration::from_secs(3);

/// Which of Kapso's APIs is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Conversation,
    Proxy,
}

pub(crate) const STYLES: [Style; 2] = [Style::Conversation, Style::Proxy];

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) sim: Sim,
    pub(crate) pool: PgPool,
}

/// How a `worker backfill` ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

/// A Kapso that retries fast, signs media anew at each listing, and tells nothing of what becomes of a reply.
pub(crate) fn kapso(style: Style) -> SimConfig {
    SimConfig {
        webhook_secret: Some(SECRET.to_owned()),
        api_key: Some(TOKEN.to_owned()),
        // The guide's names are Kapso's; the proxy lists WhatsApp's, as the second dialect tells them.
        dialect: if style == Style::Proxy { Dialect::V2 } else { Dialect::Guide },
        time_scale: 0.1,
        statuses: Statuses::NONE,
        fresh_media_urls: true,
        ..SimConfig::default()
    }
}

impl Scene {
    pub(crate) async fn new(style: Style) -> Result<Self> {
        Self::beside(style, kapso(style)).await
    }

    pub(crate) async fn beside(style: Style, kapso: SimConfig) -> Result<Self> {
        let sim = Sim::start(kapso).await?;
        let stage = Stage::new().await?;
        sim.set_webhook_url(stage.webhook_url());
        let base = match style {
            Style::Conversation => sim.conversation_api_url(),
            Style::Proxy => sim.meta_proxy_url(),
        };
        let stage = stage
            .with("KAPSO_API_BASE_URL", base)
            .with("KAPSO_API_TOKEN", TOKEN)
            .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone())
            .with("BUZON_GAP_CALLS_PER_MINUTE", "60000");
        let pool = stage.pool().clone();
        // What is written before that did not have to reach us.
        sqlx::query("UPDATE _sqlx_migrations SET installed_on = now() - interval '30 days'")
            .execute(&pool)
            .await?;
        Ok(Self { stage, sim, pool })
    }

    /// A contact of this number asks for help.
    pub(crate) fn asks(&self, contact: usize) -> SentIds {
        self.sim.inbound(InboundMessage::text(number(contact), "Necesito ayuda"))
    }

    /// The same, and its webhook never leaves.
    pub(crate) fn asks_unheard(&self, contact: usize) -> SentIds {
        self.sim
            .inbound(InboundMessage { lost: true, ..InboundMessage::text(number(contact), "Necesito ayuda") })
    }

    /// A message of a contact, written so long ago, of which no webhook ever tells.
    pub(crate) fn unheard(&self, contact: usize, text: &str, ago: time::Duration) -> SentIds {
        let at = Some(kapso_sim::now() - ago);
        self.sim.inbound(InboundMessage { lost: true, at, ..InboundMessage::text(number(contact), text) })
    }

    /// The webhook that was lost leaves after all.
    pub(crate) fn comes_late(&self, ids: &SentIds) -> Result<()> {
        let deliveries = self.sim.deliveries();
        let lost =
            deliveries.iter().find(|it| it.message_ids.contains(&ids.wamid)).context("its delivery")?;
        self.sim.repeat(lost.number).context("a repetition").map(drop)
    }

    /// Runs `worker backfill` to its end.
    pub(crate) async fn backfill(&self, arguments: &[&str]) -> Result<Ran> {
        let arguments = [&["backfill"], arguments].concat();
        let done = self.stage.finish("worker", &arguments).await?;
        Ok(Ran { code: done.code, log: done.log })
    }

    /// Starts `worker backfill`, to be ended by the test.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Product> {
        let settings = [
            "DATABASE_URL",
            "KAPSO_API_BASE_URL",
            "KAPSO_API_TOKEN",
            "KAPSO_PHONE_NUMBER_ID",
            "BUZON_GAP_CALLS_PER_MINUTE",
        ];
        let settings = settings.map(|name| (name.to_owned(), self.stage.setting(name).to_owned())).into();
        let arguments = [&["backfill"], arguments].concat();
        Product::start("worker", &arguments, &settings, ports::loopback(ports::free()?), self.stage.dir())
    }

    /// The same, which must do well: what it reports.
    pub(crate) async fn report(&self, arguments: &[&str]) -> Result<Value> {
        self.backfill(&[arguments, &["--json"]].concat()).await?.report()
    }

    /// Waits until these and no others have been answered, each once.
    pub(crate) async fn are_answered(&self, asked: &[&SentIds]) -> Result<()> {
        let expected: BTreeSet<&str> = asked.iter().map(|ids| &*ids.conversation_id).collect();
        wait::until("the replies", PATIENCE, async || {
            let open = "SELECT count(*) FROM effects WHERE state = 'pending'";
            let open = self.count(open).await?;
            let sends = self.sim.accepted_sends();
            let answered: BTreeSet<&str> = sends.iter().map(|send| &*send.conversation_id).collect();
            ensure!(open == 0 && answered == expected, "{open} effects are pending, {} sent", sends.len());
            ensure!(sends.len() == asked.len(), "{} replies to {} messages", sends.len(), asked.len());
            Ok(true)
        })
        .await
    }

    /// How often Kapso was asked for a list.
    pub(crate) fn lists_asked(&self) -> usize {
        self.sim.calls().iter().filter(|call| call.action == Action::List).count()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    pub(crate) async fn texts(&self, sql: &'static str) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&self.pool).await?)
    }

    /// The rows of a query as JSON objects.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        rows(&self.pool, sql).await
    }

    /// What the archive has from Kapso's listings.
    pub(crate) async fn backfilled(&self) -> Result<i64> {
        self.count("SELECT count(*) FROM webhooks WHERE dialect = 'backfill' AND verified_by = 'kapso-api'")
            .await
    }
}

pub(crate) async fn rows(pool: &PgPool, sql: &str) -> Result<Vec<Value>> {
    let json = AssertSqlSafe(format!("SELECT to_jsonb(found) FROM ({sql}) found"));
    Ok(sqlx::query_scalar(json).fetch_all(pool).await?)
}

impl Ran {
    /// What it reports; it must have ended well.
    pub(crate) fn report(&self) -> Result<Value> {
        ensure!(self.code == Some(0), "ended with {:?}:\n{}", self.code, self.log);
        self.reported()
    }

    /// What it reports, however it ended.
    pub(crate) fn reported(&self) -> Result<Value> {
        // Its log is in it, too: JSON, but a document a line.
        let report = self.log.lines().skip_while(|line| *line != "{").collect::<Vec<_>>().join("\n");
        let mut documents = serde_json::Deserializer::from_str(&report).into_iter();
        documents.next().and_then(Result::ok).with_context(|| format!("a report in:\n{}", self.log))
    }
}

/// The ids that a report says we lack.
pub(crate) fn found(report: &Value) -> BTreeSet<String> {
    let found = report["found"].as_array().into_iter().flatten();
    found.filter_map(|it| it["id"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn wamids<'a>(ids: impl IntoIterator<Item = &'a SentIds>) -> BTreeSet<String> {
    ids.into_iter().map(|ids| ids.wamid.clone()).collect()
}

/// Sees that a report says of these, and of no others, that we lack them; says only which differ.
pub(crate) fn lacks_just(report: &Value, expected: &BTreeSet<String>) -> Result<()> {
    let found = found(report);
    let differ: Vec<_> = found.symmetric_difference(expected).take(5).collect();
    ensure!(differ.is_empty(), "{} of {} were found; differ: {differ:?}, …", found.len(), expected.len());
    Ok(())
}

/// A number nobody else in this scene has.
pub(crate) fn number(contact: usize) -> String {
    format!("+5695551{contact:04}")
}

/// Sees that something stays as it is for a while.
pub(crate) async fn holds(what: &str, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let end = tokio::time::Instant::now() + A_WHILE;
    while tokio::time::Instant::now() < end {
        ensure!(look().await?, "no longer: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
