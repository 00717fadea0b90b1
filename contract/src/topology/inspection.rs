//! Looking at the topology without changing it: what is missing is not declared.

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{Mismatch, PRECONDITION_FAILED, Thing, differs, exchange, exchanges, queues};
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

/// Looks at everything that [`super::declare`] declares.
///
/// # Errors
/// When the connection fails, or something may not be looked at.
pub async fn inspect(connection: &Connection, vhost: &str) -> Result<Vec<Inspected>, BrokerError> {
    let mut eye = Eye { connection, vhost, open: connection.create_channel().await?, spent: Vec::new() };
    let mut inspected = Vec::new();
    for (name, kind, arguments) in exchanges() {
        let found = eye.exchange(name, kind, arguments).await?;
        inspected.push(Inspected { name, what: "exchange", found });
    }
    for (name, _, arguments) in queues() {
        let found = eye.queue(name, arguments).await?;
        inspected.push(Inspected { name, what: "queue", found });
    }
    eye.open.close(200, "seen".into()).await?;
    Ok(inspected)
}

/// Looks through one channel after the other: an error closes the one that it happens on.
struct Eye<'a> {
    connection: &'a Connection,
    vhost: &'a str,
    open: Channel,
    /// Kept: a channel that is dropped while it is being closed takes the connection with it.
    spent: Vec<Channel>,
}

impl Eye<'_> {
    async fn exchange(
        &mut self,
        name: &'static str,
        kind: ExchangeKind,
        arguments: FieldTable,
    ) -> Result<Found, BrokerError> {
        let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let there =
            self.open.exchange_declare(name.into(), kind.clone(), passive, FieldTable::default()).await;
        if self.unless(NOT_FOUND, there).await?.is_none() {
            return Ok(Found::Missing);
        }
        // What is there already is compared by a declaration, and not changed.
        let declared = exchange(&self.open, name, kind, arguments).await;
        let differs = self.compared(declared, Thing::Exchange(name)).await?;
        Ok(differs.map_or(Found::Exchange, Found::Differs))
    }

    async fn queue(&mut self, name: &'static str, arguments: FieldTable) -> Result<Found, BrokerError> {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let there = self.open.queue_declare(name.into(), passive, FieldTable::default()).await;
        let Some(queue) = self.unless(NOT_FOUND, there).await? else { return Ok(Found::Missing) };
        let waiting = Waiting { messages: queue.message_count(), consumers: queue.consumer_count() };
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let declared = self.open.queue_declare(name.into(), durable, arguments).await.map(drop);
        let differs = self.compared(declared, Thing::Queue(name)).await?;
        Ok(differs.map_or(Found::Queue(waiting), Found::Differs))
    }

    /// What came of a question; none when the answer was this code.
    async fn unless<T>(&mut self, code: u16, asked: lapin::Result<T>) -> Result<Option<T>, BrokerError> {
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(amqp) if amqp.get_id() == code => {
                    let next = self.connection.create_channel().await?;
                    self.spent.push(std::mem::replace(&mut self.open, next));
                    Ok(None)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// How something differs from what was declared, if it does.
    async fn compared(
        &mut self,
        declared: lapin::Result<()>,
        thing: Thing,
    ) -> Result<Option<Mismatch>, BrokerError> {
        let described = declared.as_ref().err().map(|error| differs(error.clone(), thing, self.vhost));
        self.unless(PRECONDITION_FAILED, declared).await?;
        Ok(match described {
            Some(BrokerError::Topology(mismatch)) => Some(mismatch),
            _ => None,
        })
    }
}
