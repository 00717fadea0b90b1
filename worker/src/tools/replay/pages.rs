//! The pages of a selection, one after the other, until they end or somebody interrupts.

use std::process::ExitCode;

use contract::broker::retry_pauses;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{progress::Progress, selected::Selected};
use crate::{
    archive::selection::{Archived, Place, Selection, Survey},
    fault::Fault,
    tools::{
        EXIT_INTERRUPTED,
        screen::{count, instant},
    },
};

/// How often a page is tried that an outage has kept from being projected. With the pauses
/// between that is some ten seconds: a deadlock or a new connection, no more.
const TRIES: usize = 8;

/// Where in its selection a replay is.
pub(super) struct Pages {
    /// What there is, as counted at the begin. What is received later is not replayed.
    pub(super) survey: Survey,
    pool: PgPool,
    selection: Selection,
    stop: CancellationToken,
    after: Option<Place>,
    progress: Progress,
    ended: bool,
}

impl Pages {
    pub(super) async fn survey(
        pool: PgPool,
        selection: Selection,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let survey = selection.survey(&mut *pool.acquire().await?).await?;
        let progress = Progress::of(survey.done);
        Ok(Self { survey, pool, selection, stop, after: None, progress, ended: false })
    }

    /// What there is, for a person.
    pub(super) fn told(&self) -> String {
        let Survey { done, pending, first, last } = self.survey;
        let mut told = match (first, last) {
            (Some(first), Some(last)) => {
                format!(
                    "{}, received {} to {}",
                    count(done, "webhook", "webhooks"),
                    instant(first),
                    instant(last)
                )
            }
            _ => "No webhook is like that".to_owned(),
        };
        if pending > 0 {
            told += &format!(
                "; {} left to the worker",
                count(pending, "that is pending is", "that are pending are")
            );
        }
        told + "."
    }

    /// The next page; none at the end, or where somebody has interrupted.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<Archived>>> {
        let Some(last) = self.survey.last.filter(|_| !self.ended) else { return Ok(None) };
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let after = self.after;
        let page = self
            .patiently(async || {
                let mut connection = self.pool.acquire().await?;
                Ok(self.selection.page(&mut connection, after, last).await?)
            })
            .await?;
        self.ended = page.is_empty();
        Ok((!page.is_empty()).then_some(page))
    }

    /// A page is done.
    pub(super) fn advance(&mut self, page: &[Archived]) {
        self.after = page.last().map(|last| (last.webhook.received_at, last.webhook.id)).or(self.after);
        self.progress.advance(page.len());
    }

    /// Tries something again that an outage has struck, a few times.
    pub(super) async fn patiently<T>(&self, attempt: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        for pause in retry_pauses().take(TRIES) {
            match attempt().await {
                Err(Fault::Outage(why)) if !self.stop.is_cancelled() => {
                    tracing::warn!(why, "tried again");
                    sleep(pause).await;
                }
                other => return other,
            }
        }
        attempt().await
    }

    pub(super) fn done(&self) -> u64 {
        self.progress.done()
    }

    pub(super) fn end(&self) {
        self.progress.end();
    }

    /// Whether somebody has interrupted before the end.
    pub(super) fn interrupted(&self) -> bool {
        self.stop.is_cancelled() && !self.ended && self.survey.done > 0
    }

    pub(super) fn exit(&self) -> ExitCode {
        if self.interrupted() { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::SUCCESS }
    }

    /// The command that does what is left.
    pub(super) fn go_on(&self, selected: &Selected, effects: bool) -> String {
        let at = self.after.map(|(at, _)| at).or(self.survey.first).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        selected.go_on(at, effects)
    }
}
