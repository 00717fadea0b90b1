//! Replay: webhooks that the archive is done with are projected again. Beside workers it is one
//! more of them: the same lock, the same merging, so that what is there already stays as it is.

use std::collections::HashSet;

use contract::envelope::Envelope;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Batch, Store, changes::Changes};
use crate::{
    archive::{
        again::{self, Noted, Verdict},
        selection::Archived,
    },
    effects::outbox,
    fault::Fault,
    project::{self, Lock, ProjectError},
};

/// Whether what is replayed owes effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// It owes nothing, and takes nothing from an event of the message that comes later.
    Off,
    /// It owes what it would owe if it came now; what is owed already is not owed again.
    Owed,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Webhooks projected, at least in part.
    pub projected: u64,
    /// Webhooks of which nothing could be projected.
    pub dead: u64,
    /// Dead letters that are resolved now.
    pub resolved: u64,
    /// Effects that were not owed before, those refused at once included.
    pub owed: u64,
}

impl Replayed {
    /// Adds what the next webhooks came to.
    pub fn add(&mut self, other: Self) {
        self.projected += other.projected;
        self.dead += other.dead;
        self.resolved += other.resolved;
        self.owed += other.owed;
    }
}

/// What becomes of a transaction at its end.
#[derive(Clone, Copy)]
enum End {
    Commit,
    /// It only shows what it would change.
    Rollback,
}

impl Store {
    /// Projects webhooks again, in one transaction; where their data fails it, one at a time, and
    /// what fails alone is a dead letter.
    ///
    /// # Errors
    /// [`Fault::Outage`]; a part of them may have been projected then, which does no harm.
    pub async fn replay(&self, webhooks: &[Archived], effects: Effects) -> Result<Replayed, Fault> {
        Ok(self.replay_all(webhooks, effects, End::Commit).await?.0)
    }

    /// What [`Self::replay`] would change now. Nothing is changed.
    ///
    /// # Errors
    /// [`Fault::Outage`].
    pub async fn preview(
        &self,
        webhooks: &[Archived],
        effects: Effects,
    ) -> Result<(Replayed, Changes), Fault> {
        self.replay_all(webhooks, effects, End::Rollback).await
    }

    async fn replay_all(
        &self,
        webhooks: &[Archived],
        effects: Effects,
        end: End,
    ) -> Result<(Replayed, Changes), Fault> {
        match self.replay_together(webhooks, effects, end).await {
            Err(Fault::Data(_)) => {}
            other => return other,
        }
        let (mut replayed, mut changes) = (Replayed::default(), Changes::default());
        for webhook in webhooks {
            let (came_to, changed) =
                match self.replay_together(std::slice::from_ref(webhook), effects, end).await {
                    Err(Fault::Data(reason)) => self.bury_again(webhook, reason, end).await?,
                    other => other?,
                };
            replayed.add(came_to);
            changes.add(changed);
        }
        Ok((replayed, changes))
    }

    async fn replay_together(
        &self,
        webhooks: &[Archived],
        effects: Effects,
        end: End,
    ) -> Result<(Replayed, Changes), Fault> {
        let batch = Batch::of(webhooks.iter().map(|archived| &archived.webhook));
        let verdicts = batch.verdicts(webhooks);
        let mut lock = Lock::Shared;
        loop {
            let mut tx = self.pool.begin().await?;
            project::lock(&mut tx, lock).await?;
            match self.project_again(&mut tx, &batch, effects, lock).await {
                Ok(owed) => {
                    let Noted { resolved, dead } = again::note(&mut tx, &verdicts).await?;
                    let projected = batch.webhooks.len() as u64 - dead;
                    let changes = self.end(tx, end).await?;
                    return Ok((Replayed { projected, dead, resolved, owed }, changes));
                }
                Err(ProjectError::NeedsExclusive) => {
                    tx.rollback().await?;
                    lock = Lock::Exclusive;
                }
                Err(ProjectError::Database(error)) => return Err(error.into()),
            }
        }
    }

    async fn project_again(
        &self,
        tx: &mut PgConnection,
        batch: &Batch<&Envelope>,
        effects: Effects,
        lock: Lock,
    ) -> Result<u64, ProjectError> {
        let received = project::project(tx, &batch.events, lock).await?;
        if effects == Effects::Off {
            return Ok(0);
        }
        let now = OffsetDateTime::now_utc();
        Ok(outbox::owe(tx, &self.policy(), &received, now).await?)
    }

    async fn bury_again(
        &self,
        archived: &Archived,
        reason: String,
        end: End,
    ) -> Result<(Replayed, Changes), Fault> {
        let mut tx = self.pool.begin().await?;
        let noted = again::note(&mut tx, &[Verdict::refused(archived.webhook.id, reason)]).await?;
        let changes = self.end(tx, end).await?;
        Ok((Replayed { dead: noted.dead, ..Replayed::default() }, changes))
    }

    async fn end(&self, mut tx: sqlx::Transaction<'_, sqlx::Postgres>, end: End) -> Result<Changes, Fault> {
        match end {
            End::Commit => {
                tx.commit().await?;
                Ok(Changes::default())
            }
            End::Rollback => {
                let changes = Changes::of(&mut tx, &self.pool).await?;
                tx.rollback().await?;
                Ok(changes)
            }
        }
    }
}

impl Batch<&Envelope> {
    /// What the archive is to note of these webhooks.
    pub(super) fn verdicts(&self, webhooks: &[Archived]) -> Vec<Verdict> {
        let flagged: HashSet<_> =
            webhooks.iter().filter(|it| it.flagged).map(|archived| archived.webhook.id).collect();
        let verdict = |(webhook, decoded): (&Envelope, &_)| {
            Verdict::of(webhook.id, decoded, flagged.contains(&webhook.id))
        };
        self.decoded().filter_map(verdict).collect()
    }
}
