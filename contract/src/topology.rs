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

mod inspection;
pub(crate) mod tap;

use std::fmt;

pub use inspection::{Found, Inspected, Waiting, inspect};
pub use tap::Tap;

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::broker::BrokerError;

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

/// The code of "something with this name exists and is different" (AMQP 0-9-1, §1.2).
const PRECONDITION_FAILED: u16 = 406;

/// A queue or an exchange of ours that is there already, and is different.
#[derive(Debug)]
pub struct Mismatch {
    thing: Thing,
    vhost: String,
    /// What RabbitMQ says of the difference.
    difference: String,
}

#[derive(Clone, Copy, Debug)]
enum Thing {
    Queue(&'static str),
    Exchange(&'static str),
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    /// What differs, and the commands that mend it, for the shell of RabbitMQ's machine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, vhost, difference } = self;
        match thing {
            Thing::Queue(name) => write!(
                f,
                "the queue `{name}` in RabbitMQ differs from ours ({difference}). Delete it, and it is declared \
                 anew at once: `rabbitmqctl delete_queue -p {vhost} {name}`. That deletes what waits in it: first \
                 let the workers that declared it drain it, until `rabbitmqctl list_queues -p {vhost} name messages` \
                 says 0"
            ),
            // rabbitmqctl has no command for it.
            Thing::Exchange(name) => write!(
                f,
                "the exchange `{name}` in RabbitMQ differs from ours ({difference}). Delete it, and it is declared \
                 anew at once: `rabbitmqctl eval 'rabbit_exchange:delete(rabbit_misc:r(<<\"{vhost}\">>, exchange, \
                 <<\"{name}\">>), false, <<\"buzon\">>).'`. No message is lost by that, but the bindings of other \
                 queues than ours are (`rabbitmqctl list_bindings -p {vhost}`): bind those anew"
            ),
        }
    }
}

/// Declares everything, on a channel of its own: an error closes the channel it happens on.
/// `vhost` is where the connection is, to be told of.
///
/// # Errors
/// When the connection fails, or something with the same name is different.
pub async fn declare(connection: &Connection, vhost: &str) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await?;
    for (name, kind, arguments) in exchanges() {
        let thing = Thing::Exchange(name);
        exchange(&channel, name, kind, arguments).await.map_err(|error| differs(error, thing, vhost))?;
    }
    for (name, exchange, arguments) in queues() {
        let thing = Thing::Queue(name);
        queue(&channel, name, exchange, arguments).await.map_err(|error| differs(error, thing, vhost))?;
    }
    Ok(channel.close(200, "declared".into()).await?)
}

/// The exchanges, each after the one that it leads to.
fn exchanges() -> [(&'static str, ExchangeKind, FieldTable); 3] {
    let alternate = table([("alternate-exchange", text(UNROUTED))]);
    [
        (UNROUTED, ExchangeKind::Fanout, FieldTable::default()),
        (DEAD_LETTERS, ExchangeKind::Fanout, FieldTable::default()),
        (EVENTS_EXCHANGE, ExchangeKind::Topic, alternate),
    ]
}

/// The queues, each with the exchange whose messages it takes.
fn queues() -> [(&'static str, &'static str, FieldTable); 3] {
    [
        (EVENTS_QUEUE, EVENTS_EXCHANGE, events_arguments()),
        (UNROUTED, UNROUTED, events_arguments()),
        (DEAD_LETTERS, DEAD_LETTERS, quorum([])),
    ]
}

/// An error of a declaration: ours is told apart from the connection's.
fn differs(error: lapin::Error, thing: Thing, vhost: &str) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) if amqp.get_id() == PRECONDITION_FAILED => {
            let difference = amqp.get_message().to_string();
            BrokerError::Topology(Mismatch { thing, vhost: vhost.to_owned(), difference })
        }
        _ => BrokerError::Amqp(error),
    }
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
