//! `worker send-test`: an event as Kapso would send it, signed, to ingest.

mod templates;
mod told;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, error::ErrorKind};
use contract::{
    envelope::WebhookId,
    kind, secrets,
    settings::{Settings, SettingsError},
    signature::{self, SignatureHeader},
};
use reqwest::Url;
use time::OffsetDateTime;

use self::{
    templates::{Dialect, Webhook},
    told::{Kind, Told},
};
use super::{
    post::{self, Headers, Sent},
    screen,
};
use crate::ingest_url::IngestUrl;

/// What is asked for on the command line.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The event to send
    #[arg(value_enum, default_value = "message.received", value_parser = kind_of)]
    kind: Kind,
    /// The shape of the webhook
    #[arg(long, value_enum, default_value_t = Dialect::Guide)]
    dialect: Dialect,
    /// The text of the message
    #[arg(long, default_value = "Hola, esto es una prueba")]
    text: String,
    /// The sender's number; default: one that nobody has
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The message's id; default: a new one
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// The conversation's id; default: a new one
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Where to send it; default: ingest's own address
    #[arg(long)]
    url: Option<String>,
    /// Send nothing; print the curl command that would
    #[arg(long)]
    dry_run: bool,
}

/// Takes a kind with Kapso's prefix, too.
fn kind_of(text: &str) -> Result<Kind, String> {
    let name = text.strip_prefix("whatsapp.").unwrap_or(text);
    let known = <Kind as clap::ValueEnum>::value_variants();
    known.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|kind| kind.name()).collect();
        format!("give one of {}", names.join(", "))
    })
}

/// A webhook ready to leave.
pub struct SendTest {
    url: Url,
    told: Told,
    webhook_id: WebhookId,
    headers: Headers,
    body: String,
    dry_run: bool,
}

impl SendTest {
    /// Builds and signs it.
    ///
    /// # Errors
    /// When a setting is missing or malformed; the inner one when the dialect has no such event.
    pub fn read(
        arguments: Arguments,
        settings: &Settings,
    ) -> Result<Result<Self, clap::Error>, SettingsError> {
        if !arguments.dialect.tells(arguments.kind) {
            return Ok(Err(no_such(&arguments)));
        }
        let url = match &arguments.url {
            Some(url) => IngestUrl::given("--url", url)?,
            None => IngestUrl::near(settings)?,
        };
        let told = told(&arguments, settings);
        let Webhook { kind, mut headers, body } = arguments.dialect.tell(&told);
        let body = body.to_string();
        headers.extend(signed(arguments.dialect, settings, body.as_bytes())?);
        let webhook_id = WebhookId::of(&kind::Kind::new(&kind), body.as_bytes());
        let url = url.door();
        Ok(Ok(Self { url, told, webhook_id, headers, body, dry_run: arguments.dry_run }))
    }

    /// Sends it, and says what came back and where to see it.
    ///
    /// # Errors
    /// When nothing can be said.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        if self.dry_run {
            screen::say(self.curl())?;
            return Ok(ExitCode::SUCCESS);
        }
        let sent = post::post(&post::client()?, self.url.clone(), &self.headers, self.body.as_bytes()).await;
        match sent {
            Sent::Answered(answered) => {
                screen::say(format!("{} from {}", answered.status, self.url))?;
                screen::say(screen::plain(answered.body.trim()))?;
                if answered.is_taken() {
                    screen::say(self.where_to_see_it())?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Sent::Failed { why, .. } => screen::say(format!("no answer from {}: {why}", self.url))?,
        }
        screen::say("It was not taken: `worker doctor` says why.")?;
        Ok(ExitCode::FAILURE)
    }

    fn where_to_see_it(&self) -> String {
        let Told { kind, message_id, conversation_id, contact, .. } = &self.told;
        let row = if kind.is_of_a_message() {
            // A wamid is its own name; any other is an alias.
            format!(
                "SELECT direction, type, body, status FROM messages WHERE id = '{message_id}' \
                 OR id = (SELECT id FROM message_aliases WHERE alias = '{message_id}')"
            )
        } else if kind.is_of_a_conversation() {
            format!("SELECT * FROM conversations WHERE id = '{conversation_id}'")
        } else {
            format!("SELECT * FROM contacts WHERE phone_number = '{contact}'")
        };
        format!(
            "\nSee what became of it:\n  psql \"$DATABASE_URL\" -c \"SELECT kind, dialect, projected_at FROM webhooks \
             WHERE id = '\\x{}'\"\n  psql \"$DATABASE_URL\" -c \"{row}\"",
            self.webhook_id
        )
    }

    fn curl(&self) -> String {
        let header =
            |(name, value): &(&str, String)| format!(" \\\n  -H {}", quoted(&format!("{name}: {value}")));
        let headers: String = self.headers.iter().map(header).collect();
        format!(
            "curl {} \\\n  -H 'Content-Type: application/json'{headers} \\\n  --data-binary {}",
            quoted(self.url.as_str()),
            quoted(&self.body)
        )
    }
}

fn told(arguments: &Arguments, settings: &Settings) -> Told {
    let digits = |text: &String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let sort = if arguments.dialect == Dialect::Guide { "msg-test-" } else { "wamid.TEST" };
    Told {
        kind: arguments.kind,
        message_id: arguments.message.clone().unwrap_or_else(|| Told::fresh(sort)),
        conversation_id: arguments.conversation.clone().unwrap_or_else(|| Told::fresh("conv-test-")),
        contact: arguments.from.as_ref().map_or_else(Told::nobodys_number, digits),
        phone_number_id: settings
            .text("KAPSO_PHONE_NUMBER_ID")
            .unwrap_or_else(|| "100000000000000".to_owned()),
        text: arguments.text.clone(),
        at: OffsetDateTime::now_utc(),
    }
}

/// The signature as the dialect carries it.
fn signed(dialect: Dialect, settings: &Settings, body: &[u8]) -> Result<Headers, SettingsError> {
    if dialect == Dialect::Meta
        && let Some(app) = secrets::meta_app(settings)?
    {
        return Ok(vec![(SignatureHeader::Hub.name(), format!("sha256={}", signature::sign(&app, body)))]);
    }
    let header = if dialect == Dialect::Guide { SignatureHeader::Kapso } else { SignatureHeader::Webhook };
    let secret = secrets::to_sign_with(settings)?;
    Ok(vec![(header.name(), signature::sign(&secret, body))])
}

/// A text in single quotes, for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn no_such(arguments: &Arguments) -> clap::Error {
    /// For the usage line alone.
    #[derive(Parser)]
    #[command(name = "worker send-test")]
    struct Usage {
        #[command(flatten)]
        _arguments: Arguments,
    }
    let kinds = <Kind as clap::ValueEnum>::value_variants();
    let names: Vec<_> =
        kinds.iter().filter(|kind| arguments.dialect.tells(**kind)).map(|kind| kind.name()).collect();
    let text = format!("this dialect has no {}; it has {}", arguments.kind.name(), names.join(", "));
    Usage::command().error(ErrorKind::ArgumentConflict, text)
}
