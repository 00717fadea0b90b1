//! The product with something in it, and its tools.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use contract::envelope::{Envelope, Hints, WebhookId};
use contract::kind::Kind;
use harness::process::{Launch, Process};
use harness::product::{Product, binaries};
use harness::stage::{SECRET, Stage};
use harness::{sign, wait};
use kapso_sim::{InboundMessage, SentIds, Sim, SimConfig, Statuses};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use time::OffsetDateTime;
use tokio::process::Command;
use worker::store::{Batch, Store};

/// The key of the simulated API.
const TOKEN: &str = "a-token-of-the-tests";

/// Whatever is going to happen has happened by then, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The product's place, and Kapso on the other side of it.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) sim: Sim,
    pub(crate) pool: PgPool,
}

/// How a tool ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its one JSON document.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {self:?}"))
    }

    /// That it ended well.
    pub(crate) fn fine(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{self:?}");
        Ok(self)
    }
}

impl Scene {
    /// No webhook tells of our replies: what is known of them the outbox knows.
    pub(crate) async fn new() -> Result<Self> {
        Self::telling(Statuses::NONE).await
    }

    /// A Kapso that tells this of our replies.
    pub(crate) async fn telling(statuses: Statuses) -> Result<Self> {
        let config = SimConfig {
            webhook_secret: Some(SECRET.to_owned()),
            api_key: Some(TOKEN.to_owned()),
            time_scale: 0.1,
            statuses,
            ..SimConfig::default()
        };
        let sim = Sim::start(config).await?;
        let stage = Stage::new().await?;
        sim.set_webhook_url(stage.webhook_url());
        let stage = stage
            .with("KAPSO_API_BASE_URL", sim.conversation_api_url())
            .with("KAPSO_API_TOKEN", TOKEN)
            .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone());
        let pool = stage.pool().clone();
        Ok(Self { stage, sim, pool })
    }

    /// Both programs, ready.
    pub(crate) async fn open(&self) -> Result<[Product; 2]> {
        Ok([self.stage.ingest().await?, self.stage.worker().await?])
    }

    /// Runs `worker` with these arguments, and with `DATABASE_URL` as the only setting.
    pub(crate) async fn tool(&self, args: &[&str]) -> Result<Said> {
        self.tool_with(args, &[]).await
    }

    /// As [`Self::tool`], with these settings of the stage as well.
    pub(crate) async fn tool_with(&self, args: &[&str], settings: &[&str]) -> Result<Said> {
        let mut command = Command::new(binaries::path("worker")?);
        command.env_clear().current_dir(self.stage.dir()).stdin(Stdio::null()).kill_on_drop(true).args(args);
        for setting in ["DATABASE_URL"].iter().chain(settings) {
            command.env(setting, self.stage.setting(setting));
        }
        let output =
            tokio::time::timeout(PATIENCE, command.output()).await.context("a tool does not end")??;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts `worker` with these arguments, to be interrupted or killed.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Result<Process> {
        let url = [("DATABASE_URL", self.stage.setting("DATABASE_URL"))];
        let dir = self.stage.dir().join(name);
        std::fs::create_dir_all(&dir)?;
        Launch::new(name, binaries::path("worker")?, &dir).args(args).envs(url).start()
    }

    /// A contact of this number asks for help.
    pub(crate) fn asks(&self, contact: usize) -> SentIds {
        self.sim.inbound(InboundMessage::text(format!("+5695551{contact:04}"), "Necesito ayuda"))
    }

    /// So many contacts do; waits until each has been answered and marked, and nothing is on its way.
    pub(crate) async fn answered(&self, contacts: std::ops::Range<usize>) -> Result<Vec<SentIds>> {
        let asked: Vec<SentIds> = contacts.map(|contact| self.asks(contact)).collect();
        wait::until("everybody to be answered", PATIENCE, async || {
            for ids in &asked {
                let done = self
                    .count_of("SELECT count(*) FROM effects WHERE state = 'done' AND message_id = $1", ids);
                ensure!(done.await? == 2, "{} is not answered", ids.message_id);
            }
            Ok(true)
        })
        .await?;
        self.settled().await?;
        Ok(asked)
    }

    async fn count_of(&self, sql: &'static str, ids: &SentIds) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).bind(&ids.message_id).fetch_one(&self.pool).await?)
    }

    /// Waits until what was sent is archived and projected, and nothing is owed any more.
    pub(crate) async fn settled(&self) -> Result<()> {
        ensure!(self.sim.idle(PATIENCE).await, "the simulator still has something on its way");
        let sent = self.sim.deliveries();
        wait::until("everything to be stored", PATIENCE, async || {
            let bodies: Vec<Vec<u8>> =
                sqlx::query_scalar("SELECT body FROM webhooks").fetch_all(&self.pool).await?;
            let missing = sent.iter().filter(|it| !bodies.iter().any(|body| *body == it.body)).count();
            ensure!(missing == 0, "{missing} are missing");
            let open = "SELECT (SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL)
                             + (SELECT count(*) FROM effects WHERE state = 'pending')";
            let open = self.count(open).await?;
            ensure!(open == 0, "{open} webhooks and effects are pending");
            Ok(true)
        })
        .await
    }

    /// Posts a body, signed, and waits until it is in the archive, done with or not.
    pub(crate) async fn posts(&self, body: &str) -> Result<()> {
        ensure!(self.stage.post_signed(body).await?.status() == 200);
        wait::until("a webhook to be archived", PATIENCE, async || -> Result<bool> {
            let found = sqlx::query_scalar(
                "SELECT count(*) FROM webhooks WHERE body = $1 AND
                (projected_at IS NOT NULL OR dead_at IS NOT NULL)",
            );
            let found: i64 = found.bind(body.as_bytes()).fetch_one(&self.pool).await?;
            Ok(found > 0)
        })
        .await
    }

    /// Stores webhooks as a worker without a token does.
    pub(crate) async fn stores(&self, webhooks: &[Envelope]) -> Result<()> {
        let settings = [("DATABASE_URL", self.stage.setting("DATABASE_URL"))];
        let policy = worker::settings::policy(&contract::settings::Settings::from_values(settings)?)?;
        let store = Store::new(self.pool.clone(), policy);
        for window in webhooks.chunks(250) {
            store.take(&Batch::of(window)).await?;
        }
        Ok(())
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    pub(crate) async fn texts(&self, sql: &'static str) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&self.pool).await?)
    }

    pub(crate) async fn run(&self, sql: &'static str) -> Result<u64> {
        Ok(sqlx::query(sql).execute(&self.pool).await?.rows_affected())
    }

    /// Every row of every table, the archive's included.
    pub(crate) async fn dump(&self) -> Result<Vec<String>> {
        let tables = self
            .texts(
                "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND NOT relispartition
             AND relnamespace = current_schema()::regnamespace OR relname = 'webhooks' ORDER BY 1",
            )
            .await?;
        ensure!(tables.len() > 12, "{tables:?}");
        let selects = tables.iter().map(|it| format!("SELECT '{it} ' || row_to_json({it})::text FROM {it}"));
        let mut rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(selects.collect::<Vec<_>>().join(" UNION ALL ")))
                .fetch_all(&self.pool)
                .await?;
        rows.sort_unstable();
        Ok(rows)
    }
}

/// A message in the guide's dialect, one of many, received a millisecond after the one before it.
pub(crate) fn guide(nth: u32, first: OffsetDateTime) -> Envelope {
    let body = json!({
        "event_type": "message.received",
        "conversation_id": format!("conv-{}", nth % 10),
        "message_id": format!("msg-{nth}"),
        "payload": { "from": format!("5691{nth:07}"), "content": format!("dice {nth}"), "message_type": "text",
                     "timestamp": first.unix_timestamp() },
    });
    let (kind, body) = (Kind::new("message.received"), Bytes::from(body.to_string()));
    let received_at = first + time::Duration::milliseconds(nth.into());
    let id = WebhookId::of(&kind, &body);
    Envelope::recall(id, kind, received_at, "secret:0".to_owned(), Hints::default(), body)
}

/// So many of them, received an hour ago.
pub(crate) fn guides(count: u32) -> Vec<Envelope> {
    let now = OffsetDateTime::now_utc();
    let first = now.replace_nanosecond(0).unwrap_or(now) - time::Duration::hours(1);
    (0..count).map(|nth| guide(nth, first)).collect()
}

/// A body's signature.
pub(crate) fn signature(body: &[u8]) -> Result<String> {
    sign::hex(SECRET, body)
}
