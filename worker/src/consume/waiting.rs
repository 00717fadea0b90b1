//! How long our queue is: asked of the broker on a connection of its own, which is closed again.

use contract::{
    broker::{Broker, BrokerError},
    topology::EVENTS_QUEUE,
};
use lapin::{options::QueueDeclareOptions, types::FieldTable};

/// How many webhooks wait, in nobody's hands.
pub async fn waiting(broker: &Broker) -> Result<u32, BrokerError> {
    let connection = broker.connect().await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(EVENTS_QUEUE.into(), passive, FieldTable::default()).await?;
    let length = queue.message_count();
    if let Err(error) = connection.close(200, "seen".into()).await {
        tracing::debug!(error = %error, "the connection was gone already");
    }
    Ok(length)
}
