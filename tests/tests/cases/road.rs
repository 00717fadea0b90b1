//! The product with a simulated Kapso on the other side, and what cases ask of both.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::stage::{SECRET, Stage};
use harness::{sign, wait};
use kapso_sim::{Action, Sim, SimConfig, Statuses};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use time::OffsetDateTime;

use crate::case::{Api, Webhook, plain};

/// Longest wait for what is going to happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The key of the simulated API.
const TOKEN: &str = "a-token-of-the-tests";

/// The running product and its Kapso.
pub(crate) struct Road {
    pub(crate) stage: Stage,
    pub(crate) pool: PgPool,
    pub(crate) api: Api,
    sim: Sim,
    _programs: [Product; 2],
}

/// A row of the outbox.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Effect {
    pub(crate) state: String,
    pub(crate) lane: String,
    pub(crate) outcome: Option<String>,
}

impl Road {
    /// Both programs, ready, the worker pointed to one API.
    pub(crate) async fn open(api: Api) -> Result<Self> {
        // The simulator has seen none of the people: the webhooks come from the test.
        let kapso = SimConfig {
            api_key: Some(TOKEN.to_owned()),
            lenient: true,
            statuses: Statuses::NONE,
            ..SimConfig::default()
        };
        let sim = Sim::start(kapso).await?;
        let url = match api {
            Api::Conversation => sim.conversation_api_url(),
            Api::MetaProxy => sim.meta_proxy_url(),
        };
        let stage = Stage::new()
            .await?
            .with("KAPSO_API_BASE_URL", url)
            .with("KAPSO_API_TOKEN", TOKEN)
            .with("KAPSO_PHONE_NUMBER_ID", crate::dialects::PHONE_NUMBER_ID);
        let pool = stage.pool().clone();
        let programs = [stage.ingest().await?, stage.worker().await?];
        Ok(Self { stage, pool, api, sim, _programs: programs })
    }

    /// Projects the whole archive again, into empty tables.
    pub(crate) async fn rebuild(&self) -> Result<()> {
        let rebuilt = self.stage.finish("worker", &["replay", "--rebuild", "--yes"]).await?;
        ensure!(rebuilt.code == Some(0), "{rebuilt:?}");
        Ok(())
    }

    /// Sends a webhook, and waits until it is projected.
    pub(crate) async fn tell(&self, webhook: &Webhook) -> Result<()> {
        let body = webhook.render(OffsetDateTime::now_utc())?;
        let header =
            if body.contains("\"event_type\"") { "X-Kapso-Signature" } else { "X-Webhook-Signature" };
        let signature = sign::hex(SECRET, body.as_bytes())?;
        let mut headers = vec![("Content-Type", "application/json"), (header, signature.as_str())];
        headers.extend(webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = self.stage.post(body.clone(), &headers).await?;
        ensure!(answer.status() == 200, "the door answers {}", answer.status());
        self.projected(body.as_bytes()).await
    }

    /// Waits until a body is projected.
    pub(crate) async fn projected(&self, body: &[u8]) -> Result<()> {
        wait::until("a webhook to be projected", PATIENCE, async || {
            let done = "SELECT count(*) FROM webhooks WHERE body = $1 AND projected_at IS NOT NULL";
            let done: i64 = sqlx::query_scalar(done).bind(body).fetch_one(&self.pool).await?;
            anyhow::Ok(done > 0)
        })
        .await
    }

    /// The effects of one kind that a message caused.
    pub(crate) async fn effects(&self, message: &str, kind: &str) -> Result<Vec<Effect>> {
        let select = "SELECT state, lane, outcome FROM effects WHERE message_id = $1 AND kind = $2";
        Ok(sqlx::query_as(select).bind(message).bind(kind).fetch_all(&self.pool).await?)
    }

    /// The row of a query about one name as JSON, its times in UTC.
    pub(crate) async fn row(&self, sql: &str, name: &str) -> Result<Option<Value>> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("SET LOCAL TimeZone = 'UTC'").execute(&mut *tx).await?;
        let json = AssertSqlSafe(format!("SELECT to_jsonb(found) FROM ({sql}) found"));
        Ok(sqlx::query_scalar(json).bind(name).fetch_optional(&mut *tx).await?)
    }

    /// Waits until the reply to a message is no longer pending. None is owed: it isn't.
    pub(crate) async fn settled(&self, message: &str) -> Result<()> {
        wait::until(&format!("the reply to {message}"), PATIENCE, async || {
            let effects = self.effects(message, "send_text").await?;
            let pending = effects.iter().find(|effect| effect.state == "pending");
            ensure!(pending.is_none(), "{pending:?}");
            Ok(true)
        })
        .await
    }

    /// The bodies of all requests for a send, each with the name that it is addressed by, whatever became of it.
    pub(crate) fn sends(&self) -> Vec<(String, Value)> {
        let sends = self.sim.calls().into_iter().filter(|call| call.action == Action::Send);
        sends
            .map(|call| {
                let in_path = call.path.split_once("/whatsapp_conversations/").map(|(_, rest)| rest);
                let conversation = in_path.and_then(|rest| rest.split('/').next());
                let in_body = ["/to", "/recipient", "/message/phone_number"];
                let in_body = in_body.iter().find_map(|at| call.body.pointer(at).and_then(Value::as_str));
                (plain(conversation.or(in_body).unwrap_or_default()), call.body)
            })
            .collect()
    }

    /// Whether Kapso was asked to mark a message as read.
    pub(crate) fn was_marked(&self, message: &str) -> bool {
        let marks = self.sim.calls().into_iter().filter(|call| call.action == Action::Mark);
        marks.into_iter().any(|call| {
            call.path.contains(message)
                || call.body.pointer("/message_id").and_then(Value::as_str) == Some(message)
        })
    }
}
