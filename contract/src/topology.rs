//! The exchanges and queues that Buzón lives on. Both sides declare them, so that
//! either may come first.
//!
//! ```text
//! buzon.events (topic) ──#──────────────► buzon.events (our queue)
//!      │ alternate exchange                    │ delivery limit
//!      ▼                                       ▼
//! buzon.unrouted (fanout) ─► buzon.unrouted    buzon.dead-letters (fanout) ─► buzon.dead-letters
//! ```
//!
//! Others may bind queues of their own to `buzon.events`, by kind. All queues are
//! quorum queues: only their confirms are backed by an fsync. The arguments are valid on
//! RabbitMQ 3.10 and 4.x; they can't be changed on a queue that exists.

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

/// The topic exchange that webhooks are published to, with their kind as routing key.
pub const EVENTS_EXCHANGE: &str = "buzon.events";
/// The queue that the worker consumes.
pub const EVENTS_QUEUE: &str = "buzon.events";
/// Where a webhook goes that no queue of the exchange takes; the worker consumes it too.
pub const UNROUTED: &str = "buzon.unrouted";
/// Where the broker puts a delivery that came too often; the worker archives it as pending.
pub const DEAD_LETTERS: &str = "buzon.dead-letters";

/// How often the broker hands a delivery out before it is dead-lettered. A last resort:
/// the worker takes a delivery out of the fast lane long before.
const DELIVERY_LIMIT: i64 = 50;

/// Declares everything, on a channel of its own: an error closes the channel it happens on.
///
/// # Errors
/// When the connection fails, or something with the same name has other arguments (406).
pub async fn declare(connection: &Connection) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let alternate = table([("alternate-exchange", text(UNROUTED))]);
    exchange(&channel, UNROUTED, ExchangeKind::Fanout, FieldTable::default()).await?;
    exchange(&channel, DEAD_LETTERS, ExchangeKind::Fanout, FieldTable::default()).await?;
    exchange(&channel, EVENTS_EXCHANGE, ExchangeKind::Topic, alternate).await?;
    queue(&channel, EVENTS_QUEUE, EVENTS_EXCHANGE, events_arguments()).await?;
    queue(&channel, UNROUTED, UNROUTED, events_arguments()).await?;
    queue(&channel, DEAD_LETTERS, DEAD_LETTERS, quorum([])).await?;
    channel.close(200, "declared".into()).await
}

fn events_arguments() -> FieldTable {
    quorum([
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(DEAD_LETTERS)),
        // Without these two a dead letter is dropped when its target is away.
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(name.into(), kind, options, arguments).await
}

/// Declares a queue and binds it to everything that comes to `exchange`.
async fn queue(channel: &Channel, name: &str, exchange: &str, arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, arguments).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(name.into(), exchange.into(), "#".into(), options, none).await
}

fn quorum<const N: usize>(more: [(&str, AMQPValue); N]) -> FieldTable {
    let mut arguments = table(more);
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
