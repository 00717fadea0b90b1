//! A reply of ours that went out, as the outbox knows it: a message that perhaps no webhook
//! ever tells of. Projected when it is recorded, and again when everything is.

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use crate::{
    event::{ContactNames, Dialect, Direction, Event, Fact, Message, Moment},
    project::{Source, Sourced},
};

/// A reply that Kapso took, with the names that it gave to it.
#[derive(Clone, Debug, FromRow)]
pub struct Reply {
    /// The effect that it was, in `effects`.
    #[sqlx(rename = "id")]
    pub effect: i64,
    /// What Kapso called it; not empty.
    pub names: Vec<String>,
    /// Kapso's conversation.
    pub conversation_id: Option<String>,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// Whom it went to.
    pub recipient: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// When it was recorded (`effects.settled_at`).
    pub at: OffsetDateTime,
}

impl Reply {
    /// As an event: an outbound message. What Kapso says of its time is better than ours.
    #[must_use]
    pub fn told(&self) -> Sourced {
        let message = Message {
            names: self.names.clone(),
            direction: Some(Direction::Outbound),
            conversation: self.conversation_id.clone(),
            contact: ContactNames::of_recipient(self.recipient.as_deref()),
            phone_number_id: self.phone_number_id.clone(),
            kind: Some("text".to_owned()),
            body: self.body.clone(),
            written_now: true,
            ..Message::default()
        };
        let at = Moment { at: self.at, timed: false };
        Sourced {
            source: Source::Effect(self.effect),
            received_at: self.at,
            dialect: Dialect::Outbox,
            event: Event { item: 0, at, fact: Fact::Message(message) },
        }
    }
}

/// The effects that were replies and went out.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn sent(pool: &PgPool) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "SELECT id FROM effects WHERE kind = 'send_text' AND state = 'done' AND sent_message_id IS NOT NULL",
    )
    .fetch_all(pool)
    .await
}

/// The replies that these effects were.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn of(pool: &PgPool, effects: &[i64]) -> sqlx::Result<Vec<Reply>> {
    sqlx::query_as(
        "SELECT id, COALESCE(sent_names, ARRAY[sent_message_id]) AS names,
                conversation_id, phone_number_id, recipient, body, settled_at AS at
         FROM effects WHERE id = ANY($1)",
    )
    .bind(effects)
    .fetch_all(pool)
    .await
}
