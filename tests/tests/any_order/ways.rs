//! The ways from webhooks to tables.

use anyhow::{Result, bail};
use sqlx::PgPool;
use time::OffsetDateTime;
use worker::effects::{Policy, outbox};
use worker::project::{self, Lock, ProjectError, Sourced};

/// Projects a slice and owes its effects as the store does, but knows no archive: nothing is left out as known.
pub(crate) async fn project(pool: &PgPool, events: &[Sourced]) -> Result<()> {
    let mut lock = Lock::Shared;
    loop {
        let mut tx = pool.begin().await?;
        project::lock(&mut tx, lock).await?;
        match project::project(&mut tx, events, lock).await {
            Ok(received) => {
                let now = OffsetDateTime::now_utc();
                let owed: Vec<_> = received.iter().flat_map(|message| policy().owe(message, now)).collect();
                outbox::insert(&mut tx, &owed).await?;
                return Ok(tx.commit().await?);
            }
            Err(ProjectError::NeedsExclusive) if lock == Lock::Shared => {
                tx.rollback().await?;
                lock = Lock::Exclusive;
            }
            Err(error) => bail!("projecting: {error}"),
        }
    }
}

/// Owes as a worker with a token does; nothing is too old that is not very old.
pub(crate) fn policy() -> Policy {
    Policy {
        off: None,
        rules: worker::effects::Rules::default(),
        reply_max_age: time::Duration::hours(6),
        phone_number_id: Some("n1".to_owned()),
        api: worker::kapso::ApiStyle::Conversation,
    }
}
