//! `worker doctor`: looks for what is wrong, and says how to mend it.
//!
//! It is the guide's checklist and its chapter on troubles as a program. It changes nothing:
//! what is missing stays missing. Its one trace is the test event of [`road`].

mod api;
mod broker;
mod check;
mod configuration;
mod database;
mod door;
mod figures;
mod guide;
mod kapso;
mod number;
mod report;
mod road;
mod values;
mod webhook;

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use contract::settings::Settings;
use futures_util::future::join_all;

use self::{
    check::{Check, Scope},
    report::{Mark, Report},
};
use super::{post, screen};

pub(crate) use self::road::KIND as TEST_KIND;

/// What is asked for on the command line.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Run only these checks, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CHECK")]
    only: Vec<Check>,
    /// Ask only our own servers: neither Kapso nor the public address
    #[arg(long)]
    offline: bool,
    /// Send the test event to this address instead of BUZON_PUBLIC_URL
    #[arg(long, conflicts_with = "offline")]
    url: Option<String>,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Makes the checks, and prints what they found.
///
/// # Errors
/// When nothing can be said.
pub async fn run(arguments: Arguments, settings: Settings) -> anyhow::Result<ExitCode> {
    let Arguments { only, offline, url, json } = arguments;
    let scope = Arc::new(Scope { settings, url, offline, http: post::client()? });
    let checks: Vec<Check> = Check::chosen(&only, offline).collect();
    let found = join_all(checks.iter().map(|check| check.run(Arc::clone(&scope)))).await;
    let mut report = Report::default();
    for (check, findings) in checks.iter().zip(found) {
        report.add(check.name(), findings);
    }
    if json {
        screen::json(&report.json())?
    } else {
        screen::say(report.text())?
    }
    let well = report.how_many(Mark::Wrong) == 0;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
