//! The projections rebuilt wholly from the archive and from what the outbox knows of our own
//! replies.
//!
//! Workers go on meanwhile. The rows are made beside the real ones ([`shadow`]); then, alone and
//! in one transaction, what has come in meanwhile is caught up with and the real tables are made
//! the same. Whoever reads sees the state before or the state after; whoever dies leaves the
//! state before.

use std::collections::HashSet;

use sqlx::{Connection as _, PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Batch, changes::Changes};
use crate::{
    archive::{
        again::{self, Noted, Verdict},
        selection::{self, Archived, PAGE_ROWS},
    },
    effects::reply,
    fault::Fault,
    project::{self, Lock, ProjectError, Sourced, shadow},
};

/// How many webhooks are taken at once that came in meanwhile, however large they are.
const CATCH_UP_ROWS: usize = 50;

/// A transaction of ours is idle while another connection is asked.
const IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// A rebuild under way.
pub struct Rebuild {
    /// The one connection that sees the temporary tables.
    connection: PgConnection,
    /// Sees the real ones.
    pool: PgPool,
    /// The effects whose replies are in.
    replies: HashSet<i64>,
    /// What the archive is to note at the end.
    verdicts: Vec<Verdict>,
    pages: u64,
}

/// What a rebuild came to.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// Our own replies among the messages.
    pub replies: usize,
    /// Rows that were wrong or missing.
    pub rows: u64,
    /// What the archive has noted.
    pub noted: Noted,
    /// What changes, where it was only to be shown.
    pub changes: Changes,
}

impl Rebuild {
    /// Begins, with nothing.
    ///
    /// # Errors
    /// When Postgres refuses or is away.
    pub async fn begin(pool: PgPool) -> Result<Self, Fault> {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        shadow::make(&mut connection).await?;
        sqlx::query("CREATE TEMP TABLE rebuilt (received_at timestamptz, id bytea)")
            .execute(&mut connection)
            .await?;
        Ok(Self { connection, pool, replies: HashSet::new(), verdicts: Vec::new(), pages: 0 })
    }

    /// Takes a page of the archive.
    ///
    /// # Errors
    /// [`Fault::Outage`]; the rebuild is of no use then.
    pub async fn take(&mut self, webhooks: &[Archived]) -> Result<(), Fault> {
        self.verdicts.extend(take(&mut self.connection, webhooks).await?);
        self.pages += 1;
        if self.pages.is_power_of_two() {
            shadow::analyze(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Makes the real tables what has been rebuilt; with `only_show`, it only says what that
    /// would change.
    ///
    /// # Errors
    /// [`Fault`]; nothing has changed then.
    pub async fn finish(mut self, only_show: bool) -> Result<Rebuilt, Fault> {
        // Most of what has come in meanwhile, while workers still go on.
        self.catch_up().await?;
        let Self { mut connection, pool, mut replies, mut verdicts, .. } = self;
        let mut tx = connection.begin().await?;
        // No projection is under way from here on, so that nothing is behind what is seen.
        project::lock(&mut tx, Lock::Exclusive).await?;
        sqlx::query(IDLE).execute(&mut *tx).await?;
        loop {
            let places = unseen(&mut tx).await?;
            if places.is_empty() {
                break;
            }
            for places in places.chunks(CATCH_UP_ROWS) {
                let page = selection::at(&mut tx, places).await?;
                verdicts.extend(take(&mut tx, &page).await?);
            }
        }
        add_replies(&mut tx, &pool, &mut replies).await?;
        let rows = shadow::replace(&mut tx).await?;
        let noted = again::note(&mut tx, &verdicts).await?;
        let mut rebuilt = Rebuilt { replies: replies.len(), rows, noted, changes: Changes::default() };
        if only_show {
            rebuilt.changes = Changes::of(&mut tx, &pool).await?;
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        connection.close().await?;
        Ok(rebuilt)
    }

    async fn catch_up(&mut self) -> Result<(), Fault> {
        let mut before = usize::MAX;
        loop {
            let places = unseen(&mut self.connection).await?;
            for places in places.chunks(CATCH_UP_ROWS) {
                let page = selection::at(&mut self.connection, places).await?;
                self.take(&page).await?;
            }
            // It does not become less any more: what still comes in is left for when nothing does.
            if places.len() < PAGE_ROWS || places.len() >= before {
                break;
            }
            before = places.len();
        }
        let mut tx = self.connection.begin().await?;
        sqlx::query(IDLE).execute(&mut *tx).await?;
        add_replies(&mut tx, &self.pool, &mut self.replies).await?;
        Ok(tx.commit().await?)
    }
}

/// Projects webhooks into the temporary tables; where their data fails it, one at a time. What
/// the archive is to note of them.
async fn take(connection: &mut PgConnection, webhooks: &[Archived]) -> Result<Vec<Verdict>, Fault> {
    // Inside a transaction this is a savepoint.
    let mut tx = connection.begin().await?;
    let batch = Batch::of(webhooks.iter().map(|archived| &archived.webhook));
    let verdicts = match (add(&mut tx, &batch.events).await, webhooks) {
        (Ok(()), _) => batch.verdicts(webhooks),
        (Err(Fault::Data(reason)), [alone]) => {
            tx.rollback().await?;
            tx = connection.begin().await?;
            vec![Verdict::refused(alone.webhook.id, reason)]
        }
        (Err(Fault::Data(_)), several) => {
            tx.rollback().await?;
            let mut verdicts = Vec::new();
            for webhook in several {
                verdicts.extend(Box::pin(take(connection, std::slice::from_ref(webhook))).await?);
            }
            return Ok(verdicts);
        }
        (Err(outage), _) => return Err(outage),
    };
    sqlx::query("INSERT INTO rebuilt SELECT * FROM UNNEST($1::timestamptz[], $2::bytea[])")
        .bind(webhooks.iter().map(|archived| archived.webhook.received_at).collect::<Vec<_>>())
        .bind(webhooks.iter().map(|archived| archived.webhook.id.as_bytes()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(verdicts)
}

/// Nobody else writes to the temporary tables: whoever does is alone.
async fn add(tx: &mut PgConnection, events: &[Sourced]) -> Result<(), Fault> {
    match project::project(tx, events, Lock::Exclusive).await {
        Ok(_) => Ok(()),
        Err(ProjectError::Database(error)) => Err(error.into()),
        Err(alone @ ProjectError::NeedsExclusive) => Err(Fault::Outage(alone.to_string())),
    }
}

async fn add_replies(tx: &mut PgConnection, pool: &PgPool, done: &mut HashSet<i64>) -> Result<(), Fault> {
    let sent = reply::sent(pool).await?;
    let new: Vec<i64> = sent.into_iter().filter(|effect| !done.contains(effect)).collect();
    for page in new.chunks(PAGE_ROWS) {
        let events: Vec<Sourced> = reply::of(pool, page).await?.iter().map(reply::Reply::told).collect();
        add(tx, &events).await?;
        done.extend(page);
    }
    Ok(())
}

/// Where the webhooks are that the worker is done with, and that have not been taken: what has come in meanwhile. By
/// their keys alone, which the index has; it reads those of the whole archive.
async fn unseen(connection: &mut PgConnection) -> sqlx::Result<Vec<(OffsetDateTime, Vec<u8>)>> {
    sqlx::query_as(
        "SELECT received_at, id FROM webhooks
         EXCEPT SELECT received_at, id FROM rebuilt
         EXCEPT SELECT received_at, id FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL",
    )
    .fetch_all(connection)
    .await
}
