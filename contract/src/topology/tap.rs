//! Seeing what nobody takes, beside the queue that keeps it: so that a binding that is missing, which AMQP can't be
//! asked for, is known by what it lets through.

use lapin::{
    Channel, Connection,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use super::UNROUTED;
use crate::broker::BrokerError;

/// Takes a copy of everything that comes to [`UNROUTED`] from now on. Its queue is its own, and goes with it.
pub struct Tap {
    connection: Connection,
    channel: Channel,
    queue: ShortString,
}

/// Binds a queue of the connection's own to the exchange, which copies to all its queues alike.
pub(crate) async fn queue(connection: &Connection) -> Result<(Channel, ShortString), BrokerError> {
    let channel = connection.create_channel().await?;
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), own, FieldTable::default()).await?.name().clone();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.clone(), UNROUTED.into(), "".into(), options, none).await?;
    Ok((channel, queue))
}

impl Tap {
    pub(crate) fn new(connection: Connection, (channel, queue): (Channel, ShortString)) -> Self {
        Self { connection, channel, queue }
    }

    /// Whether a webhook of this id has come by since the last look, and the end of looking.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn saw(self, id: &str) -> Result<bool, BrokerError> {
        let mut saw = false;
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(self.queue.clone(), options).await? {
            saw |= message.properties.message_id().as_ref().is_some_and(|it| it.as_str() == id);
        }
        self.connection.close(200, "seen".into()).await?;
        Ok(saw)
    }
}
