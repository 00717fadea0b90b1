//! Settings: environment variables, with `.env` beneath them where there is one.
//!
//! Every failure names the variable and the remedy; no failure and no `Debug` shows a
//! value that could be a secret.

use std::{collections::HashMap, env, fmt, fs, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The exit code of a process whose configuration is wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// The prefixes and names that are ours; the rest of the environment is not read.
const OURS: [&str; 6] = ["KAPSO_", "BUZON_", "INGEST_", "DATABASE_URL", "AMQP_URL", "RUST_LOG"];

/// A value that never shows: not in `Debug`, not in logs, not in errors.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// A secret with this value, taken verbatim.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(SecretString::from(value))
    }

    /// The value, for the one who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether `presented` is this secret. Digests are compared, so that the time it takes tells nothing about it.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        Sha256::digest(presented) == Sha256::digest(self.expose())
    }
}

/// A setting that is missing or malformed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{variable} {problem}: {remedy}")]
pub struct SettingsError {
    /// The environment variable.
    pub variable: String,
    /// What is wrong with it, without its value.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl SettingsError {
    /// An error about `variable`.
    pub fn new(variable: &str, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { variable: variable.to_owned(), problem: problem.to_string(), remedy: remedy.to_string() }
    }
}

/// Where settings are read from. An empty value counts as not set.
pub struct Settings(config::Config);

impl Settings {
    /// Reads `.env` of the working directory, if there is one, and the environment over it.
    ///
    /// # Errors
    /// When `.env` can't be parsed or a value is not UTF-8.
    pub fn load() -> Result<Self, SettingsError> {
        let mut values = dotenv()?;
        for (name, value) in env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            if !OURS.iter().any(|ours| name.starts_with(ours)) {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_| SettingsError::new(&name, "is not UTF-8", "write it in UTF-8"))?;
            values.insert(name, value);
        }
        Self::from_values(values)
    }

    /// Settings from a list of names and values, for tests.
    ///
    /// # Errors
    /// None in practice: the list is already text.
    pub fn from_values(
        values: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Self, SettingsError> {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let source = config::Environment::default().ignore_empty(true).source(Some(values));
        let config = config::Config::builder().add_source(source).build();
        config.map(Self).map_err(|error| {
            SettingsError::new("the environment", format!("can't be read ({error})"), "check it")
        })
    }

    /// A text, if it is set.
    #[must_use]
    pub fn text(&self, variable: &str) -> Option<String> {
        // The only failure left is "not set": every value of the source is a text.
        self.0.get_string(&variable.to_lowercase()).ok().filter(|text| !text.is_empty())
    }

    /// A value parsed from its text, or `default` when it is not set.
    ///
    /// # Errors
    /// When the text can't be parsed; `expected` says what it should look like.
    pub fn parsed<T: FromStr>(&self, variable: &str, default: T, expected: &str) -> Result<T, SettingsError> {
        match self.text(variable) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| SettingsError::new(variable, "is malformed", format!("give {expected}"))),
        }
    }

    /// A secret from `variable`, or from the file that `variable_FILE` names
    /// (a line break at the file's end does not count).
    ///
    /// # Errors
    /// When both are set, or the file can't be read.
    pub fn secret(&self, variable: &str) -> Result<Option<Secret>, SettingsError> {
        let file_variable = format!("{variable}_FILE");
        let value = match (self.text(variable), self.text(&file_variable)) {
            (Some(_), Some(_)) => {
                let remedy = format!("set only one of {variable} and {file_variable}");
                return Err(SettingsError::new(variable, "is set twice", remedy));
            }
            (value, None) => value,
            (None, Some(path)) => {
                let text = fs::read_to_string(&path).map_err(|error| {
                    let problem = format!("names a file that can't be read ({error})");
                    SettingsError::new(&file_variable, problem, "check its path and permissions")
                })?;
                Some(text.trim_end_matches(['\n', '\r']).to_owned()).filter(|text| !text.is_empty())
            }
        };
        Ok(value.as_deref().map(Secret::new))
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// When it is not set, with `remedy`; otherwise as [`Settings::secret`].
    pub fn required_secret(&self, variable: &str, remedy: &str) -> Result<Secret, SettingsError> {
        self.secret(variable)?.ok_or_else(|| SettingsError::new(variable, "is not set", remedy))
    }
}

/// The pairs of `.env`, none when there is no such file.
/// They are read into a map, not into the environment: changing that is not thread-safe.
fn dotenv() -> Result<HashMap<String, String>, SettingsError> {
    let problem = |error: dotenvy::Error| match error {
        // The line itself may be a secret: only where it is wrong is told.
        dotenvy::Error::LineParse(_, at) => SettingsError::new(
            ".env",
            format!("has a line that can't be parsed (at character {at} of it)"),
            "write NAME='value'",
        ),
        other => SettingsError::new(".env", format!("can't be read ({other})"), "check the file"),
    };
    // Only the working directory's file: dotenvy's finder would climb to the parents.
    match dotenvy::from_path_iter(".env") {
        Ok(pairs) => pairs.collect::<Result<_, _>>().map_err(problem),
        Err(error) if error.not_found() => Ok(HashMap::new()),
        Err(error) => Err(problem(error)),
    }
}

/// Where Buzón runs (`BUZON_ENV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Local trials: webhooks may come unsigned.
    Development,
    /// Everything else, and the default.
    Production,
}

impl FromStr for Environment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err(()),
        }
    }
}

impl Environment {
    /// Reads `BUZON_ENV`.
    ///
    /// # Errors
    /// When it is neither `development` nor `production`.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        settings.parsed("BUZON_ENV", Self::Production, "development or production")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::from_values(pairs.iter().map(|(name, value)| (*name, *value))).unwrap()
    }

    #[test]
    fn a_secret_is_taken_verbatim_and_never_shown() {
        let secret = settings(&[("KAPSO_WEBHOOK_SECRET", " 007e1 'x' ")])
            .secret("KAPSO_WEBHOOK_SECRET")
            .unwrap()
            .unwrap();
        assert_eq!(secret.expose(), " 007e1 'x' ");
        assert!(!format!("{secret:?}").contains("007"));
    }

    #[test]
    fn an_empty_value_counts_as_none() {
        let settings = settings(&[("KAPSO_WEBHOOK_SECRET", ""), ("INGEST_ADDR", "")]);
        assert!(settings.secret("KAPSO_WEBHOOK_SECRET").unwrap().is_none());
        assert_eq!(settings.parsed("INGEST_ADDR", 8000, "a number").unwrap(), 8000);
    }

    #[test]
    fn an_error_names_the_variable_and_the_remedy_but_not_the_value() {
        let error = settings(&[("BUZON_ENV", "prod-s3cret")]);
        let error = Environment::read(&error).unwrap_err().to_string();
        assert_eq!(error, "BUZON_ENV is malformed: give development or production");
    }

    #[test]
    fn a_secret_may_come_from_a_file() {
        let path = env::temp_dir().join(format!("buzon-secret-{}", std::process::id()));
        fs::write(&path, "s3cret \n").unwrap();
        let name = path.to_str().unwrap();
        let read = settings(&[("KAPSO_API_TOKEN_FILE", name)]).secret("KAPSO_API_TOKEN").unwrap().unwrap();
        let both =
            settings(&[("KAPSO_API_TOKEN_FILE", name), ("KAPSO_API_TOKEN", "x")]).secret("KAPSO_API_TOKEN");
        fs::remove_file(&path).unwrap();
        let gone = settings(&[("KAPSO_API_TOKEN_FILE", name)]).secret("KAPSO_API_TOKEN");
        assert_eq!(read.expose(), "s3cret ");
        assert!(both.unwrap_err().to_string().starts_with("KAPSO_API_TOKEN is set twice"));
        assert!(gone.unwrap_err().to_string().starts_with("KAPSO_API_TOKEN_FILE names a file"));
    }
}
