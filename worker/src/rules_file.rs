//! The file of the rule book: read at the start, and again on SIGHUP.

use std::{fs, io, path::PathBuf};

use contract::settings::{Settings, SettingsError};
use time::Duration;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use crate::{
    effects::{BookError, RuleBook},
    store::Store,
};

/// Says where the file is.
const VARIABLE: &str = "BUZON_CONFIG";

/// Where it is unless that is set, if it is there; without it, the guide's rule is in force.
const DEFAULT: &str = "buzon.toml";

/// Wins over the file's `reply.max_age`.
const MAX_AGE_SECONDS: &str = "BUZON_REPLY_MAX_AGE_SECONDS";

/// Where the rule book is read from.
#[derive(Clone, Debug)]
pub struct RulesFile {
    path: PathBuf,
    /// Whether somebody said that it is there.
    named: bool,
    max_age: Option<Duration>,
}

/// Why there is no rule book.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file can't be read.
    #[error("{0} can't be read ({1})")]
    File(PathBuf, io::Error),
    /// There is something wrong in it.
    #[error("{0}, {1}")]
    Book(PathBuf, BookError),
}

impl From<Unread> for SettingsError {
    fn from(error: Unread) -> Self {
        Self::new(VARIABLE, format!("can't be used: {error}"), "mend the file (see buzon.toml)")
    }
}

impl RulesFile {
    /// Where the settings say that it is.
    ///
    /// # Errors
    /// When a setting is malformed.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let named = settings.text(VARIABLE);
        let seconds = settings
            .text(MAX_AGE_SECONDS)
            .map(|_| settings.parsed(MAX_AGE_SECONDS, 0_u32, "a number of seconds"))
            .transpose()?;
        Ok(Self {
            named: named.is_some(),
            path: named.unwrap_or_else(|| DEFAULT.to_owned()).into(),
            max_age: seconds.map(|seconds| Duration::seconds(seconds.into())),
        })
    }

    /// The book that is in it now.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn book(&self) -> Result<RuleBook, Unread> {
        let mut book = match fs::read_to_string(&self.path) {
            Ok(text) => RuleBook::parse(&text).map_err(|error| Unread::Book(self.path.clone(), error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.named => RuleBook::default(),
            Err(error) => return Err(Unread::File(self.path.clone(), error)),
        };
        book.max_age = self.max_age.unwrap_or(book.max_age);
        Ok(book)
    }
}

/// Reads the file again whenever `hang_up` comes, until `stop`. A book that can't be read
/// changes nothing.
pub async fn reread(file: RulesFile, store: Store, mut hang_up: Signal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = hang_up.recv() => {}
        }
        match file.book() {
            Ok(book) => {
                tracing::info!(rules = book.rules.count(), file = %file.path.display(), "rules read again");
                store.decide_by(book);
            }
            Err(error) => tracing::error!(%error, "the rules stay as they were"),
        }
    }
}
