//! Envelopes of the version before and of one that is not there yet, in queues that an earlier version declared.

use anyhow::{Context as _, Result, ensure};
use contract::envelope::{Envelope, OpenError, VERSION};
use harness::stage::Stage;
use harness::wait;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::earlier::recording;
use crate::waiting::PATIENCE;

const VERSION_HEADER: &str = "buzon-version";

/// The envelopes of one version, as they lay in the queue; none if none was ever recorded.
fn of_version(version: i32) -> Result<Vec<Value>> {
    Ok(serde_json::from_str(&recording(&format!("envelopes-v{version}.json"))?)?)
}

fn text<'a>(envelope: &'a Value, name: &str) -> Result<&'a str> {
    envelope[name].as_str().with_context(|| format!("{name} in {envelope}"))
}

fn value(told: &Value) -> Result<AMQPValue> {
    let (kind, value) = told.as_object().and_then(|it| it.iter().next()).context("a type and a value")?;
    Ok(match kind.as_str() {
        "long" => AMQPValue::LongInt(i32::try_from(value.as_i64().context("a number")?)?),
        "longlong" => AMQPValue::LongLongInt(value.as_i64().context("a number")?),
        "longstr" => AMQPValue::LongString(value.as_str().context("a text")?.into()),
        other => anyhow::bail!("a header of type {other}"),
    })
}

/// The properties as they were on the wire; the version may be another one.
fn properties(envelope: &Value, version: Option<i32>) -> Result<BasicProperties> {
    let mut headers = FieldTable::default();
    for (name, told) in envelope["headers"].as_object().unwrap_or(&Map::new()) {
        headers.insert(name.as_str().into(), value(told)?);
    }
    if let Some(version) = version {
        headers.insert(VERSION_HEADER.into(), AMQPValue::LongInt(version));
        headers.insert("buzon-of-a-later-version".into(), AMQPValue::LongInt(7));
    }
    let number = |name: &str| envelope[name].as_u64().with_context(|| format!("{name} in {envelope}"));
    Ok(BasicProperties::default()
        .with_delivery_mode(u8::try_from(number("delivery_mode")?)?)
        .with_message_id(text(envelope, "message_id")?.into())
        .with_type(text(envelope, "type")?.into())
        .with_timestamp(number("timestamp")?)
        .with_headers(headers))
}

/// The exchanges and queues, as the earlier version declared them: their arguments can't be changed in place, so a
/// version that wants others does not start beside it.
async fn declared(channel: &Channel) -> Result<()> {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let table = |entries: &[(&str, AMQPValue)]| {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    };
    let alternate = table(&[("alternate-exchange", text("buzon.unrouted"))]);
    for (name, kind, arguments) in [
        ("buzon.unrouted", ExchangeKind::Fanout, FieldTable::default()),
        ("buzon.dead-letters", ExchangeKind::Fanout, FieldTable::default()),
        ("buzon.events", ExchangeKind::Topic, alternate),
    ] {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name.into(), kind, durable, arguments).await?;
    }
    let quorum = ("x-queue-type", text("quorum"));
    let events = table(&[
        ("x-delivery-limit", AMQPValue::LongLongInt(50)),
        ("x-dead-letter-exchange", text("buzon.dead-letters")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        quorum.clone(),
    ]);
    for (name, arguments) in [
        ("buzon.events", events.clone()),
        ("buzon.unrouted", events),
        ("buzon.dead-letters", table(&[quorum])),
    ] {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), durable, arguments).await?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(name.into(), name.into(), "#".into(), options, none).await?;
    }
    Ok(())
}

/// Puts envelopes into the queue before any program of ours has seen the broker.
async fn waits_in_the_queue(stage: &Stage, envelopes: &[Value], version: Option<i32>) -> Result<()> {
    let connection = Connection::connect(stage.setting("AMQP_URL"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declared(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for envelope in envelopes {
        let (exchange, key) = (text(envelope, "exchange")?, text(envelope, "routing_key")?);
        let (options, body) = (BasicPublishOptions::default(), text(envelope, "body")?.as_bytes());
        let properties = properties(envelope, version)?;
        channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await?;
    }
    Ok(connection.close(200, "published".into()).await?)
}

/// What of an envelope is in the archive: kind, how it was verified, and the hints.
async fn archived(stage: &Stage, envelope: &Value) -> Result<Option<(String, String, Value)>> {
    let found = sqlx::query_as("SELECT kind, verified_by, headers FROM webhooks WHERE id = $1 AND body = $2")
        .bind(hex::decode(text(envelope, "message_id")?)?)
        .bind(text(envelope, "body")?.as_bytes());
    Ok(found.fetch_optional(stage.pool()).await?)
}

fn hints(envelope: &Value) -> Value {
    let headers = envelope["headers"].as_object().into_iter().flatten();
    let hints = headers.filter(|(name, _)| !name.starts_with("buzon-"));
    hints.map(|(name, told)| (name.clone(), told["longstr"].clone())).collect::<Map<_, _>>().into()
}

/// Whoever raises the version records the one before (`tests/fixtures/earlier/README.md`), and goes on reading it.
#[test]
fn this_version_and_the_one_before_are_read_whole() -> Result<()> {
    for version in (VERSION - 1).max(1)..=VERSION {
        let envelopes = of_version(version)?;
        ensure!(!envelopes.is_empty());
        for told in &envelopes {
            ensure!(told["headers"][VERSION_HEADER]["long"] == version, "{told}");
            let body = text(told, "body")?.to_owned();
            let opened =
                Envelope::open(&properties(told, None)?, body.clone().into(), OffsetDateTime::UNIX_EPOCH);
            ensure!(opened.problem.is_none(), "{:?}", opened.problem);
            let [webhook] = opened.webhooks.as_slice() else { anyhow::bail!("one webhook: {opened:?}") };
            assert_eq!(webhook.id.to_string(), text(told, "message_id")?);
            assert_eq!(webhook.kind.as_str(), text(told, "type")?);
            assert_eq!(webhook.body, body);
            assert_eq!(Some(&*webhook.verified_by), told["headers"]["buzon-verified-by"]["longstr"].as_str());
            let received = webhook.received_at.unix_timestamp_nanos() / 1_000_000;
            assert_eq!(
                Some(i64::try_from(received)?),
                told["headers"]["buzon-received-ms"]["longlong"].as_i64()
            );
            let found: Map<_, _> =
                webhook.hints.iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
            assert_eq!(Value::from(found), hints(told));
        }
    }
    Ok(())
}

/// While workers of the version before run, today's ingest may write nothing that they do not read.
#[test]
fn this_version_is_still_written_as_it_was_first() -> Result<()> {
    for told in of_version(VERSION)? {
        let as_recorded = properties(&told, None)?;
        let body = text(&told, "body")?.to_owned();
        let opened = Envelope::open(&as_recorded, body.into(), OffsetDateTime::UNIX_EPOCH);
        for webhook in opened.webhooks {
            assert_eq!(webhook.properties(), as_recorded);
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_an_earlier_ingest_left_in_its_queues_is_projected() -> Result<()> {
    let stage = Stage::new().await?;
    let envelopes = of_version((VERSION - 1).max(1))?;
    waits_in_the_queue(&stage, &envelopes, None).await?;
    // Both find the queues as they were declared, and take them for theirs.
    let _ingest = stage.ingest().await?;
    let _worker = stage.worker().await?;
    for envelope in &envelopes {
        let found =
            wait::until("an envelope to be archived", PATIENCE, async || archived(&stage, envelope).await);
        let (kind, verified_by, headers) = found.await?;
        assert_eq!(kind, text(envelope, "type")?);
        assert_eq!(Some(verified_by.as_str()), envelope["headers"]["buzon-verified-by"]["longstr"].as_str());
        assert_eq!(headers, hints(envelope));
    }
    let count = "SELECT (SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL), (SELECT count(*) FROM messages),
                 (SELECT count(*) FROM dead_letters)";
    let (projected, messages, dead): (i64, i64, i64) = sqlx::query_as(count).fetch_one(stage.pool()).await?;
    assert_eq!((usize::try_from(projected)?, dead), (envelopes.len(), 0));
    ensure!(messages > 3, "{messages}");
    Ok(())
}

/// A worker that was forgotten: nothing is lost, nothing is guessed, and what it does understand goes on. When it has
/// been upgraded (here: it takes the bytes of the archive for what they are), a requeue projects it.
#[tokio::test]
async fn what_a_later_ingest_writes_is_a_dead_letter_that_says_so_and_can_be_requeued() -> Result<()> {
    let stage = Stage::new().await?;
    let envelopes = of_version(VERSION)?;
    let (later, today) = envelopes.split_at(2);
    waits_in_the_queue(&stage, later, Some(VERSION + 1)).await?;
    waits_in_the_queue(&stage, today, None).await?;
    let _worker = stage.worker().await?;
    for envelope in &envelopes {
        wait::until("an envelope to be archived", PATIENCE, async || archived(&stage, envelope).await)
            .await?;
    }
    let letters: Vec<(Vec<u8>, String)> =
        sqlx::query_as("SELECT webhook_id, reason FROM dead_letters WHERE resolved_at IS NULL")
            .fetch_all(stage.pool())
            .await?;
    assert_eq!(letters.len(), later.len());
    let says = OpenError::Newer(VERSION + 1).to_string();
    for envelope in later {
        let id = hex::decode(text(envelope, "message_id")?)?;
        let letter = letters.iter().find(|(webhook, _)| *webhook == id);
        ensure!(letter.is_some_and(|(_, reason)| *reason == says), "{letters:?}");
    }
    let projected = "SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL";
    let count = async || -> Result<i64> { Ok(sqlx::query_scalar(projected).fetch_one(stage.pool()).await?) };
    assert_eq!(usize::try_from(count().await?)?, today.len());

    let requeued = stage.finish("worker", &["dead-letters", "requeue", "--all"]).await?;
    ensure!(requeued.code == Some(0), "{}", requeued.log);
    wait::until("them to be projected", PATIENCE, async || -> Result<bool> {
        Ok(usize::try_from(count().await?)? == envelopes.len())
    })
    .await?;
    let open = "SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(open).fetch_one(stage.pool()).await?, 0);
    Ok(())
}
