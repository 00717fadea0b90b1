//! `worker webhook`: our webhook at Kapso, seen, registered, tested and resumed. It needs the
//! API's token, and no database.

mod place;
mod register;
mod replace;
mod resume;
mod status;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use contract::settings::{Settings, SettingsError};

use self::place::Place;

/// What to do with the webhook.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show how it is registered, what is wrong with it and how to fix that; exit code 1 if something is wrong
    Status(status::Arguments),
    /// Create it, or change its address, secret, events and payload version to what Buzón needs, and activate it; its kind can't be changed, only replaced
    Register(register::Arguments),
    /// Have Kapso send a test event
    Test(test::Arguments),
    /// Switch it on again after Kapso has paused it
    Resume(Which),
}

/// Which webhook is meant.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// The number, by its id at Meta; default: KAPSO_PHONE_NUMBER_ID, else the only number
    #[arg(long, value_name = "PHONE_NUMBER_ID")]
    number: Option<String>,
    /// The webhook, by its id at Kapso; default: the one at BUZON_PUBLIC_URL, or, if that is not set, the only one
    #[arg(long)]
    id: Option<String>,
}

/// A command, with the settings that it needs.
pub struct Webhook {
    command: Command,
    place: Place,
}

impl Webhook {
    /// Reads the settings that it needs.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(command: Command, settings: &Settings) -> Result<Self, SettingsError> {
        let place = Place::read(settings)?;
        if let Command::Register(_) = command {
            place.needs_everything()?;
        }
        Ok(Self { command, place })
    }

    /// Does it.
    ///
    /// # Errors
    /// When Kapso does not do its part, or nothing can be said.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Status(arguments) => status::run(&self.place, arguments).await,
            Command::Register(arguments) => register::run(&self.place, arguments).await,
            Command::Test(arguments) => test::run(&self.place, arguments).await,
            Command::Resume(which) => resume::run(&self.place, which).await,
        }
    }
}
