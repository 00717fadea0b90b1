//! `worker backfill`: asks Kapso for messages that never reached us, and stores them.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, CommandFactory as _, Parser, error::ErrorKind};
use contract::{
    lifecycle,
    settings::{Settings, SettingsError},
};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    EXIT_INTERRUPTED, database,
    screen::{self, instant as shown},
    when::when,
};
use crate::{
    effects::{Policy, RuleBook},
    event::Direction,
    gaps::{Check, Found, GapError, GapSettings, Lock, Report, Window, check},
    kapso::Client,
    store::Store,
};

/// How often the lock of another check is tried for.
const LOCK_EVERY: Duration = Duration::from_secs(2);

/// What is asked for on the command line.
#[derive(Args, Clone, Copy, Debug)]
pub struct Arguments {
    /// Messages written at this time or later: 2h (ago), 2026-11-24 (from 00:00 UTC), 2026-11-24T17:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: OffsetDateTime,
    /// Messages written until this time; default: now
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<OffsetDateTime>,
    /// List what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// A check by hand, ready to begin.
pub struct Backfill {
    arguments: Arguments,
    window: Window,
    settings: GapSettings,
    client: Client,
}

impl Backfill {
    /// Reads the settings that it needs.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(arguments: Arguments, settings: &Settings) -> Result<Self, SettingsError> {
        const TOKEN: &str = "KAPSO_API_TOKEN";
        let settings = GapSettings::read(settings)?;
        let token = settings.api.token.as_ref().ok_or_else(|| {
            SettingsError::new(TOKEN, "is missing", "give the API key: Kapso's listings ask for it")
        })?;
        let client = Client::new(settings.api.base.clone(), token)
            .map_err(|_| SettingsError::new(TOKEN, "can't be used", "give the API key as Kapso shows it"))?;
        let until = arguments.until.unwrap_or_else(OffsetDateTime::now_utc);
        Ok(Self { arguments, window: Window { since: arguments.since, until }, settings, client })
    }

    /// Runs it, and prints what it found.
    ///
    /// # Errors
    /// When the window is none, or Kapso or the database fail it. What it found by then has
    /// been printed.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        self.refuse_an_empty_window()?;
        let stop = lifecycle::stop_on_signals().context("signals can't be handled")?;
        let store = Store::new(database::connect(&self.settings.database).await?, self.policy());
        let Some(lock) = self.lock(&stop).await? else { return Ok(interrupted()) };
        let mut report = Report::listing();
        let done = self.check(&store, &stop, &mut report).await;
        lock.release().await;
        self.print(&report)?;
        match done {
            Err(GapError::Stopped) => Ok(interrupted()),
            other => Ok(other.map(|()| ExitCode::SUCCESS)?),
        }
    }

    fn refuse_an_empty_window(&self) -> Result<(), clap::Error> {
        /// For the usage line alone.
        #[derive(Parser)]
        #[command(name = "worker backfill")]
        struct Usage {
            #[command(flatten)]
            _arguments: Arguments,
        }
        if self.window.since < self.window.until {
            return Ok(());
        }
        Err(Usage::command()
            .error(ErrorKind::ValueValidation, "--since must be before --until and before now"))
    }

    async fn check(
        &self,
        store: &Store,
        stop: &CancellationToken,
        report: &mut Report,
    ) -> Result<(), GapError> {
        let plan = Check {
            client: &self.client,
            store,
            window: self.window,
            phone_number_id: self.settings.phone_number_id.as_deref(),
            calls_per_minute: self.settings.calls_per_minute,
            storing: !self.arguments.dry_run,
            stop,
        };
        let shown = io::stderr().is_terminal();
        let mut progress = |report: &Report| {
            if shown {
                let Report { requests, listed, missing, .. } = report;
                drop(write!(
                    io::stderr(),
                    "\r{requests} requests, {listed} messages, {missing} missing\x1b[K"
                ));
            }
        };
        let done = check(&plan, report, &mut progress).await;
        if shown {
            drop(writeln!(io::stderr()));
        }
        done
    }

    /// Waits for whoever else asks Kapso right now: the key's rate limit is one. None where
    /// somebody has interrupted.
    async fn lock(&self, stop: &CancellationToken) -> anyhow::Result<Option<Lock>> {
        let mut told = false;
        loop {
            if let Some(lock) = Lock::take(&self.settings.database).await.context("the database")? {
                return Ok(Some(lock));
            }
            if !told {
                tracing::info!("another check or backfill is under way: waiting for its end");
                told = true;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = sleep(LOCK_EVERY) => {}
            }
        }
    }

    /// Nothing is owed by what is backfilled; a store wants a policy all the same.
    fn policy(&self) -> Policy {
        Policy {
            off: Some("what is backfilled owes nothing"),
            book: RuleBook::default(),
            phone_number_id: self.settings.phone_number_id.clone(),
            api: self.settings.api.reach(),
        }
    }

    fn print(&self, report: &Report) -> anyhow::Result<()> {
        if self.arguments.json {
            return screen::json(&self.json(report));
        }
        if self.arguments.dry_run {
            for found in report.found.iter().flatten() {
                let (what, direction) = (found.what.name(), direction(found));
                let id = screen::plain(&found.id);
                screen::say(format!("{}  {direction:<8}  {what:<7}  {id}", shown(found.at)))?;
            }
        }
        screen::say(self.summary(report).trim_end())
    }

    fn summary(&self, report: &Report) -> String {
        let Report { requests, listed, known, missing, missing_inbound, behind, stored, advanced, .. } =
            report;
        let mut text = format!(
            "Kapso lists {listed} messages from {} until {} ({requests} requests).\n\
             known            {known}\n\
             never reached us {missing} ({missing_inbound} of them inbound)\n\
             known in part    {behind}\n",
            shown(self.window.since),
            shown(self.window.until),
        );
        if self.arguments.dry_run {
            text += "Nothing was written: this was a dry run.\n";
        } else {
            text += &format!("stored           {stored}\nadvanced         {advanced}\n");
        }
        for (why, count) in &report.skipped {
            text += &format!("left alone       {count}: {why}\n");
        }
        text
    }

    fn json(&self, report: &Report) -> serde_json::Value {
        let found = report.found.iter().flatten().map(|found| {
            json!({ "id": found.id, "at": shown(found.at), "direction": direction(found), "lacks": found.what.name() })
        });
        let skipped = report.skipped.iter().map(|(why, count)| (why.to_string(), json!(count)));
        json!({
            "since": shown(self.window.since),
            "until": shown(self.window.until),
            "dry_run": self.arguments.dry_run,
            "requests": report.requests,
            "listed": report.listed,
            "known": report.known,
            "missing": report.missing,
            "missing_inbound": report.missing_inbound,
            "behind": report.behind,
            "stored": report.stored,
            "advanced": report.advanced,
            "skipped": serde_json::Map::from_iter(skipped),
            "found": found.collect::<Vec<_>>(),
        })
    }
}

fn interrupted() -> ExitCode {
    tracing::warn!("interrupted: run it again with the same --since; nothing is stored twice");
    ExitCode::from(EXIT_INTERRUPTED)
}

fn direction(found: &Found) -> &'static str {
    found.direction.map_or("unknown", Direction::name)
}
