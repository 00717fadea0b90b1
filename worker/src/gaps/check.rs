//! One check: every listed message of a window is compared with what we have, and what we
//! lack is stored, if that is wanted.

use std::collections::HashSet;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{
    GapError, Report, Skip, What, Window,
    ask::Asker,
    known::{self, Standing},
    listed::{Listed, Raw},
    walk,
};
use crate::{
    fault::Fault,
    kapso::Client,
    outage::in_time,
    store::{Batch, Store},
};

/// What is checked, and how.
pub struct Check<'a> {
    /// Who is asked.
    pub client: &'a Client,
    /// Whom it is compared with.
    pub store: &'a Store,
    /// Which messages.
    pub window: Window,
    /// Our number, beside those that we have seen.
    pub phone_number_id: Option<&'a str>,
    /// How often Kapso is asked at the most.
    pub calls_per_minute: u32,
    /// Whether what we lack is stored.
    pub storing: bool,
    /// Ends it after the page at hand.
    pub stop: &'a CancellationToken,
}

/// Checks, and adds what it finds to `report`, which it shows to `seen` after each page.
///
/// # Errors
/// [`GapError`]; the report says how far it came.
pub async fn check(
    check: &Check<'_>,
    report: &mut Report,
    seen: &mut (dyn FnMut(&Report) + Send),
) -> Result<(), GapError> {
    let mut asker = Asker::new(check.client, check.calls_per_minute, check.stop);
    let mut compared = Compared { check, report, seen, done: HashSet::new() };
    let done = walk::all(&mut asker, check, &mut compared).await;
    // The last answers may have been none that anything came of.
    report.requests = asker.asked;
    done
}

/// Where the pages go.
pub(super) struct Compared<'a> {
    check: &'a Check<'a>,
    report: &'a mut Report,
    seen: &'a mut (dyn FnMut(&Report) + Send),
    /// What has been found lacking: a message may be listed twice, since others that come in
    /// meanwhile move it to the next page.
    done: HashSet<String>,
}

impl Compared<'_> {
    /// Takes a page of messages; when each of them was written, in the order of the page.
    pub(super) async fn page(&mut self, asked: u64, page: Vec<Raw>) -> Result<Vec<OffsetDateTime>, GapError> {
        self.report.requests = asked;
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now);
        let mut times = Vec::with_capacity(page.len());
        let mut listed = Vec::with_capacity(page.len());
        for raw in page {
            match Listed::read(raw, self.check.window, now) {
                Ok(item) => {
                    times.push(item.at);
                    listed.push(item);
                }
                Err(why) => self.report.skip(why),
            }
        }
        listed.retain(|item| {
            self.check.window.contains(item.at) && !item.names.iter().any(|name| self.done.contains(name))
        });
        self.compare(listed).await?;
        (self.seen)(self.report);
        Ok(times)
    }

    /// Notes that a question was asked that lists no messages.
    pub(super) fn asked(&mut self, asked: u64) {
        self.report.requests = asked;
        (self.seen)(self.report);
    }

    pub(super) fn skip(&mut self, why: Skip) {
        self.report.skip(why);
    }

    async fn compare(&mut self, listed: Vec<Listed>) -> Result<(), GapError> {
        let standings = in_time(known::look(&self.check.store.pool, &listed)).await?;
        self.report.listed += listed.len() as u64;
        let mut lacking = Vec::new();
        for (item, standing) in listed.into_iter().zip(standings) {
            let what = match standing {
                Standing::Known => {
                    self.report.known += 1;
                    continue;
                }
                Standing::Lookalike => {
                    self.report.skip(Skip::Lookalike);
                    continue;
                }
                Standing::Lacking(what) => what,
            };
            self.report.lacks(what, &item);
            self.done.extend(item.names.iter().cloned());
            lacking.push((what, item));
        }
        if self.check.storing { self.store(lacking).await } else { Ok(()) }
    }

    /// Stores a page's worth in one transaction; where Postgres refuses one item, each alone.
    async fn store(&mut self, lacking: Vec<(What, Listed)>) -> Result<(), GapError> {
        let (whats, webhooks): (Vec<_>, Vec<_>) =
            lacking.into_iter().map(|(what, item)| (what, item.webhook)).unzip();
        if webhooks.is_empty() {
            return Ok(());
        }
        match in_time(self.check.store.take(&Batch::of(&webhooks))).await {
            Ok(()) => whats.into_iter().for_each(|what| self.report.kept(what)),
            Err(Fault::Data(_)) => {
                for (what, webhook) in whats.into_iter().zip(&webhooks) {
                    match in_time(self.check.store.take(&Batch::of([webhook]))).await {
                        Ok(()) => self.report.kept(what),
                        Err(Fault::Data(reason)) => {
                            tracing::warn!(webhook.id = %webhook.id, reason, "a listed message can't be stored");
                            self.report.skip(Skip::Refused);
                        }
                        Err(outage) => return Err(outage.into()),
                    }
                }
            }
            Err(outage) => return Err(outage.into()),
        }
        Ok(())
    }
}
