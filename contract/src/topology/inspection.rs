//! Looking at the topology without changing it: what is missing is not declared.

use lapin::{
    Connection, ErrorKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{Mismatch, Thing, differs, exchange, exchanges, queues};
use crate::broker::BrokerError;

/// The code of "there is nothing with this name" (AMQP 0-9-1, §1.2).
const NOT_FOUND: u16 = 404;

/// What is found of one exchange or queue of ours.
#[derive(Debug)]
pub struct Inspected {
    /// Its name.
    pub name: &'static str,
    /// `exchange` or `queue`.
    pub what: &'static str,
    /// How it is.
    pub found: Found,
}

/// How an exchange or a queue of ours is.
#[derive(Debug)]
pub enum Found {
    /// It is not there.
    Missing,
    /// It is there, and is different.
    Differs(Mismatch),
    /// It is an exchange as it has to be.
    Exchange,
    /// It is a queue as it has to be.
    Queue(Waiting),
}

/// How much waits in a queue, and who takes it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Messages that are ready, and handed out to nobody.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

/// Looks at everything that [`super::declare`] declares. Each thing has channels of its own:
/// an error closes the one it happens on.
///
/// # Errors
/// When the connection fails, or something may not be looked at.
pub async fn inspect(connection: &Connection, vhost: &str) -> Result<Vec<Inspected>, BrokerError> {
    let mut inspected = Vec::new();
    for (name, kind, arguments) in exchanges() {
        let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let channel = connection.create_channel().await?;
        let there = channel.exchange_declare(name.into(), kind.clone(), passive, FieldTable::default()).await;
        let found = match or_missing(there)? {
            None => Found::Missing,
            Some(()) => {
                // What is there already is compared by a declaration, and not changed.
                let channel = connection.create_channel().await?;
                let declared = exchange(&channel, name, kind, arguments).await;
                compared(declared, Thing::Exchange(name), vhost)?.map_or(Found::Exchange, Found::Differs)
            }
        };
        inspected.push(Inspected { name, what: "exchange", found });
    }
    for (name, _, arguments) in queues() {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let channel = connection.create_channel().await?;
        let there = channel.queue_declare(name.into(), passive, FieldTable::default()).await;
        let found = match or_missing(there)? {
            None => Found::Missing,
            Some(queue) => {
                let waiting = Waiting { messages: queue.message_count(), consumers: queue.consumer_count() };
                let channel = connection.create_channel().await?;
                let durable = QueueDeclareOptions { durable: true, ..Default::default() };
                let declared = channel.queue_declare(name.into(), durable, arguments).await.map(drop);
                compared(declared, Thing::Queue(name), vhost)?.map_or(Found::Queue(waiting), Found::Differs)
            }
        };
        inspected.push(Inspected { name, what: "queue", found });
    }
    Ok(inspected)
}

/// What was looked for; none when it is not there.
fn or_missing<T>(looked: lapin::Result<T>) -> Result<Option<T>, BrokerError> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(amqp) if amqp.get_id() == NOT_FOUND => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// How something differs from what was declared, if it does.
fn compared(
    declared: lapin::Result<()>,
    thing: Thing,
    vhost: &str,
) -> Result<Option<Mismatch>, BrokerError> {
    match declared.map_err(|error| differs(error, thing, vhost)) {
        Ok(()) => Ok(None),
        Err(BrokerError::Topology(mismatch)) => Ok(Some(mismatch)),
        Err(error) => Err(error),
    }
}
