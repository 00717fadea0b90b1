//! `ingest sign`: a header line for a body that somebody wants to try.

use std::io::{self, Read as _, Write as _};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use contract::{
    secrets,
    settings::{Secret, Settings, SettingsError},
    signature::{self, SignatureHeader},
};

/// What is asked for on the command line.
#[derive(Args, Clone, Copy, Debug)]
pub struct Arguments {
    /// The header that is to carry the signature
    #[arg(long, value_enum, default_value_t = Header::Kapso)]
    header: Header,
}

/// A header that can carry a signature.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Header {
    /// X-Kapso-Signature: the guide's
    Kapso,
    /// X-Webhook-Signature: Kapso's today
    Webhook,
    /// X-Hub-Signature-256: Meta's, signed with KAPSO_META_APP_SECRET
    Hub,
}

/// A signature about to be made.
pub struct Sign {
    header: SignatureHeader,
    prefix: &'static str,
    secret: Secret,
}

impl Sign {
    /// Reads the secret.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(arguments: Arguments, settings: &Settings) -> Result<Self, SettingsError> {
        let (header, prefix) = match arguments.header {
            Header::Kapso => (SignatureHeader::Kapso, ""),
            Header::Webhook => (SignatureHeader::Webhook, ""),
            Header::Hub => (SignatureHeader::Hub, "sha256="),
        };
        let secret = match header {
            SignatureHeader::Hub => {
                settings.required_secret(secrets::META_APP, "give the app secret of Meta")?
            }
            SignatureHeader::Kapso | SignatureHeader::Webhook => secrets::to_sign_with(settings)?,
        };
        Ok(Self { header, prefix, secret })
    }

    /// Prints the header line for what standard input holds, to its last byte.
    ///
    /// # Errors
    /// When standard input can't be read, or standard output not written.
    pub fn run(self) -> anyhow::Result<()> {
        let mut body = Vec::new();
        io::stdin().read_to_end(&mut body).context("standard input can't be read")?;
        let line =
            format!("{}: {}{}\n", self.header.name(), self.prefix, signature::sign(&self.secret, &body));
        io::stdout().write_all(line.as_bytes()).context("standard output can't be written")
    }
}
