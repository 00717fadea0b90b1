//! A stage with a simulated Kapso beside it, and what tests ask of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::product::Product;
use harness::servers::Node;
use harness::stage::{RABBITMQ_DIR, SECRET, Stage};
use harness::{scratch, wait};
use kapso_sim::{Action, InboundMessage, SentIds, Sim, SimConfig, Statuses};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, PgPool};

/// The key of the simulated API.
pub(crate) const TOKEN: &str = "a-token-of-the-tests";

/// The guide's answer to `ayuda`.
pub(crate) const REPLY: &str = "¿En qué puedo ayudarte?";

/// Whatever is going to happen has happened by then, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Beyond two looks of the dispatcher and its first pauses: what it would wrongly do again, it has done by then.
pub(crate) const A_WHILE: Duration = Duration::from_secs(3);

/// The product's place, and Kapso on the other side of it. Programs are started by the test.
pub(crate) struct Road {
    pub(crate) stage: Stage,
    pub(crate) sim: Sim,
    /// The product's database.
    pub(crate) pool: PgPool,
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Effect {
    pub(crate) id: i64,
    pub(crate) message_id: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) attempts: i32,
    pub(crate) outcome: Option<String>,
}

/// A Kapso that retries fast and tells nothing of what becomes of a reply.
pub(crate) fn kapso() -> SimConfig {
    SimConfig {
        webhook_secret: Some(SECRET.to_owned()),
        api_key: Some(TOKEN.to_owned()),
        time_scale: 0.1,
        statuses: Statuses::NONE,
        ..SimConfig::default()
    }
}

impl Road {
    pub(crate) async fn new() -> Result<Self> {
        Self::beside(kapso()).await
    }

    pub(crate) async fn beside(kapso: SimConfig) -> Result<Self> {
        Self::with(kapso, Stage::new().await?).await
    }

    pub(crate) async fn with(kapso: SimConfig, stage: Stage) -> Result<Self> {
        let sim = Sim::start(kapso).await?;
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

    /// A contact of this number asks for help.
    pub(crate) fn asks(&self, contact: usize) -> SentIds {
        self.sim.inbound(InboundMessage::text(number(contact), "Necesito ayuda"))
    }

    /// So many contacts, each unlike any other, ask for help.
    pub(crate) fn ask(&self, contacts: impl IntoIterator<Item = usize>) -> Vec<SentIds> {
        contacts.into_iter().map(|contact| self.asks(contact)).collect()
    }

    /// Waits until the sender has nothing on its way any more, and every webhook was answered 200.
    pub(crate) async fn all_answered(&self) -> Result<()> {
        ensure!(self.sim.idle(PATIENCE).await, "the simulator still has something on its way");
        for delivery in self.sim.deliveries() {
            let last = delivery.attempts.last().and_then(|attempt| attempt.status);
            ensure!(last == Some(200), "not answered 200: {delivery:?}");
        }
        Ok(())
    }

    /// Waits until every webhook answered 200 has been projected, byte for byte.
    pub(crate) async fn nothing_lost(&self) -> Result<()> {
        self.all_answered().await?;
        let sent = self.sim.deliveries();
        wait::until("every webhook answered 200 to be projected", PATIENCE, async || {
            let projected: Vec<Vec<u8>> =
                sqlx::query_scalar("SELECT body FROM webhooks WHERE projected_at IS NOT NULL")
                    .fetch_all(&self.pool)
                    .await?;
            let missing = sent.iter().filter(|delivery| !projected.iter().any(|body| *body == delivery.body));
            let missing: Vec<u64> = missing.map(|delivery| delivery.number).collect();
            ensure!(missing.is_empty(), "deliveries {missing:?} of {} are not there", sent.len());
            Ok(true)
        })
        .await
    }

    /// Waits until each of these messages (each of another contact) has been answered and marked as read, and sees
    /// that nothing else was sent, and nothing twice.
    pub(crate) async fn each_answered_once(&self, asked: &[SentIds]) -> Result<()> {
        self.nothing_lost().await?;
        self.effects_become(asked.iter().flat_map(|ids| {
            [(&*ids.message_id, "mark_read", "done"), (&*ids.message_id, "send_text", "done")]
        }))
        .await?;
        let answered = self.sim.accepted_sends().into_iter().map(|send| send.conversation_id);
        assert_eq!(counted(answered), once(asked.iter().map(|ids| &ids.conversation_id)));
        let marked = self.sim.accepted_marks().into_iter().map(|mark| mark.message);
        assert_eq!(counted(marked), once(asked.iter().map(|ids| &ids.message_id)));
        let stored = self.texts("SELECT id FROM messages WHERE direction = 'inbound'").await?;
        assert_eq!(counted(stored.into_iter()), once(asked.iter().map(|ids| &ids.message_id)));
        Ok(())
    }

    /// As [`Self::each_answered_once`], where an attempt may have been struck between its commit and its record: what
    /// became of that one nobody knows, and it is not repeated.
    pub(crate) async fn each_answered_once_or_unknown(&self, asked: &[SentIds]) -> Result<()> {
        self.nothing_lost().await?;
        let stored = self.texts("SELECT id FROM messages WHERE direction = 'inbound'").await?;
        assert_eq!(counted(stored.into_iter()), once(asked.iter().map(|ids| &ids.message_id)));
        wait::until("every reply to be settled", PATIENCE, async || -> Result<bool> {
            let pending = "SELECT count(*) FROM effects WHERE kind = 'send_text' AND state = 'pending'";
            Ok(self.count(pending).await? == 0)
        })
        .await?;
        let sent = counted(self.sim.accepted_sends().into_iter().map(|send| send.conversation_id));
        let mut done = 0;
        for ids in asked {
            let reply = self.effect(&ids.message_id, "send_text").await?;
            let times = sent.get(&ids.conversation_id).copied().unwrap_or_default();
            let as_it_should = match reply.state.as_str() {
                "done" => times == 1,
                "unknown" => times <= 1,
                _ => false,
            };
            ensure!(as_it_should, "sent {times} times: {reply:?}");
            done += usize::from(reply.state == "done");
        }
        ensure!(done * 2 > asked.len(), "only {done} of {} are known to be done", asked.len());
        let marked = counted(self.sim.accepted_marks().into_iter().map(|mark| mark.message));
        ensure!(marked.values().all(|times| *times == 1), "{marked:?}");
        Ok(())
    }

    pub(crate) async fn effects(&self) -> Result<Vec<Effect>> {
        let select =
            "SELECT id, message_id, kind, state, attempts, outcome FROM effects ORDER BY message_id, kind";
        Ok(sqlx::query_as(select).fetch_all(&self.pool).await?)
    }

    pub(crate) async fn effect(&self, message_id: &str, kind: &str) -> Result<Effect> {
        let mut effects = self.effects().await?.into_iter();
        let found = effects.find(|effect| effect.message_id == message_id && effect.kind == kind);
        found.with_context(|| format!("no {kind} for {message_id}"))
    }

    /// Waits until the outbox holds exactly these effects, in these states.
    pub(crate) async fn effects_become<'a>(
        &self,
        expected: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Result<()> {
        let mut expected: Vec<_> = expected.collect();
        expected.sort_unstable();
        wait::until("the effects", PATIENCE, async || {
            let effects = self.effects().await?;
            let mut found: Vec<_> = effects.iter().map(|e| (&*e.message_id, &*e.kind, &*e.state)).collect();
            found.sort_unstable();
            ensure!(found == expected, "{effects:?}");
            Ok(true)
        })
        .await
    }

    /// Waits until one effect is in a state.
    pub(crate) async fn effect_becomes(&self, message_id: &str, kind: &str, state: &str) -> Result<Effect> {
        wait::until(&format!("a {kind} to be {state}"), PATIENCE, async || {
            let effect = self.effect(message_id, kind).await?;
            ensure!(effect.state == state, "{effect:?}");
            Ok(Some(effect))
        })
        .await
    }

    /// The reply that a message owes; its message goes by either of its names.
    pub(crate) async fn reply_to(&self, ids: &SentIds) -> Result<Effect> {
        let effects = self.effects().await?.into_iter().filter(|effect| effect.kind == "send_text");
        let named = |effect: &Effect| [&ids.message_id, &ids.wamid].contains(&&effect.message_id);
        effects.into_iter().find(named).with_context(|| format!("no reply to {ids:?}"))
    }

    /// Waits until the reply to a message is in a state.
    pub(crate) async fn reply_becomes(&self, ids: &SentIds, state: &str) -> Result<Effect> {
        wait::until(&format!("a reply to be {state}"), PATIENCE, async || {
            let effect = self.reply_to(ids).await?;
            ensure!(effect.state == state, "{effect:?}");
            Ok(Some(effect))
        })
        .await
    }

    /// How often a send was asked for in this conversation, whatever became of it.
    pub(crate) fn sends_asked(&self, ids: &SentIds) -> usize {
        let calls = self.sim.calls();
        calls.iter().filter(|it| it.action == Action::Send && it.path.contains(&ids.conversation_id)).count()
    }

    /// The rows of a query as JSON objects, times in UTC.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("SET LOCAL TimeZone = 'UTC'").execute(&mut *tx).await?;
        let json = AssertSqlSafe(format!("SELECT to_jsonb(found) FROM ({sql}) found"));
        Ok(sqlx::query_scalar(json).fetch_all(&mut *tx).await?)
    }

    /// The one row of a query.
    pub(crate) async fn row(&self, sql: &str) -> Result<Value> {
        let mut rows = self.rows(sql).await?;
        ensure!(rows.len() == 1, "one row: {rows:?}");
        rows.pop().context("one row")
    }

    /// A query's only column.
    pub(crate) async fn texts(&self, sql: &'static str) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&self.pool).await?)
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Closes every connection to our vhost, as an operator would.
    pub(crate) async fn close_broker_connections(&self) -> Result<()> {
        let vhost = self.stage.setting("AMQP_URL").rsplit('/').next().context("a vhost")?;
        broker()?.ctl(&["close_all_connections", "--vhost", vhost, "closed by a test"]).await.map(drop)
    }

    /// How many deliveries wait in our queue, in nobody's hand, and how many consume it.
    pub(crate) async fn queue(&self) -> Result<(u32, u32)> {
        let url = self.stage.setting("AMQP_URL");
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("buzon.events".into(), passive, FieldTable::default()).await?;
        connection.close(200, "seen".into()).await?;
        Ok((queue.message_count(), queue.consumer_count()))
    }

    /// Kills the worker, and waits until so many deliveries that were in its hands are back in the queue.
    pub(crate) async fn kill(&self, worker: &mut Product, given_back: u32) -> Result<()> {
        worker.kill();
        self.becomes_given_back(given_back).await
    }

    /// Waits until nobody consumes, and so many deliveries wait.
    pub(crate) async fn becomes_given_back(&self, deliveries: u32) -> Result<()> {
        wait::until("the deliveries to be given back", PATIENCE, async || {
            let queue = self.queue().await?;
            ensure!(queue == (deliveries, 0), "{} wait, {} consume", queue.0, queue.1);
            Ok(true)
        })
        .await
    }
}

/// A number nobody else on this road has.
pub(crate) fn number(contact: usize) -> String {
    format!("+5695551{contact:04}")
}

/// Sees that something stays as it is for a while.
pub(crate) async fn holds(
    what: &str,
    duration: Duration,
    mut look: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let end = tokio::time::Instant::now() + duration;
    while tokio::time::Instant::now() < end {
        ensure!(look().await?, "no longer: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A figure of a program, 0 where it has not been counted yet.
pub(crate) async fn figure(product: &Product, name: &str) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let text = client.get(format!("http://{}/metrics", product.http())).send().await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.map_or(Ok(0.0), str::parse)?)
}

/// How often each name occurs.
pub(crate) fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

fn once<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    names.map(|name| (name.clone(), 1)).collect()
}

/// The broker that all tests share.
pub(crate) fn broker() -> Result<Node> {
    Node::attach(Path::new(&std::env::var(RABBITMQ_DIR).ok().context(scratch::HOW_TO_RUN)?))
}
