//! What is sent: a stream of webhooks, each of which follows from its number alone. Sender and verifier make the
//! same bytes of the same number, so that nothing has to be remembered of millions of them.
//!
//! Four webhooks are a turn: a message of a contact, and what becomes of one of ours (sent, delivered, read).

mod dialects;
mod template;

use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use contract::envelope::WebhookId;
use contract::kind::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

pub use dialects::Dialect;
use template::{Filling, Template};

/// Webhooks of a turn.
pub const TURN: u64 = 4;

/// The longest text that WhatsApp takes, in characters. Source: Meta, "Text messages" (`text.body`).
const LONGEST_TEXT: usize = 4096;

/// Every so many turns the contact writes a text of that length.
const LONG_EVERY: u64 = 50;

/// What a stream is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stream {
    /// The shape.
    pub dialect: Dialect,
    /// Unlike any other stream's in the same database: at most eight letters and digits.
    pub name: String,
    /// How many people write, in turn.
    pub contacts: u64,
    /// Every so many turns the contact asks for help, which is answered; 0: never.
    pub ask_every: u64,
    /// When the first one is written, in seconds of the Unix epoch.
    pub since: i64,
    /// How many are written in a second, in their own time; 0: all at once.
    pub rate: f64,
}

/// A stream, ready to be written.
pub struct Traffic {
    stream: Stream,
    inbound: Vec<Template>,
    statuses: Vec<Template>,
    since: OffsetDateTime,
    texts: Texts,
    /// The header that carries the signature, and what stands before its digits.
    pub(crate) signature: (&'static str, &'static str),
}

/// What contacts say, as JSON writes it.
struct Texts {
    usual: Vec<u8>,
    asking: Vec<u8>,
    long: Vec<u8>,
}

/// What of a webhook is not in its body.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The header `X-Webhook-Event`, where the dialect has it.
    pub event: Option<&'a str>,
    /// The header `X-Webhook-Payload-Version`, likewise.
    pub version: Option<&'a str>,
}

impl Traffic {
    /// Prepares a stream.
    ///
    /// # Errors
    ///
    /// When the examples can't be read or are not what they were.
    pub fn of(stream: Stream) -> Result<Self> {
        ensure!(stream.name.len() <= 8 && stream.contacts > 0, "a short name, and someone who writes");
        let examples = stream.dialect.examples();
        let all = payloads::all().context("the examples can't be read")?;
        let template = |name: &&str| {
            let example = all.iter().find(|example| example.name == **name);
            Template::new(example.with_context(|| format!("no example {name}"))?, examples.places)
        };
        Ok(Self {
            inbound: examples.inbound.iter().map(template).collect::<Result<_>>()?,
            statuses: examples.statuses.iter().map(template).collect::<Result<_>>()?,
            since: OffsetDateTime::from_unix_timestamp(stream.since)?,
            texts: Texts {
                usual: "Hola, ¿siguen atendiendo? 😊".into(),
                asking: "Necesito AYUDA con mi boleta".into(),
                long: "palabra ".repeat(LONGEST_TEXT / 8).into(),
            },
            signature: examples.signature,
            stream,
        })
    }

    /// What it is made of.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Appends the body of the webhook of this number.
    pub fn write(&self, number: u64, to: &mut Vec<u8>) -> Sent<'_> {
        let (turn, step) = (number / TURN, number % TURN);
        let template = self.template(number);
        let mut message = Vec::with_capacity(48);
        self.name_message(turn, step > 0, &mut message);
        let filling = Filling {
            message: &message,
            contact: turn % self.stream.contacts,
            at: self.written_at(number),
            text: self.text(turn, step),
        };
        template.fill(&filling, to);
        Sent { event: template.event.as_deref(), version: template.version.as_deref() }
    }

    /// The message that the webhook of this number is about, as it is named on the wire.
    #[must_use]
    pub fn message(&self, number: u64) -> String {
        let mut name = Vec::with_capacity(48);
        self.name_message(number / TURN, !number.is_multiple_of(TURN), &mut name);
        String::from_utf8(name).unwrap_or_default()
    }

    /// Whether the webhook of this number asks for help.
    #[must_use]
    pub fn asks(&self, number: u64) -> bool {
        number.is_multiple_of(TURN) && self.turn_asks(number / TURN)
    }

    /// The name that the product gives the webhook of this number, and its kind.
    #[must_use]
    pub fn id(&self, number: u64, body: &[u8]) -> (WebhookId, Kind) {
        let kind = match &self.template(number).event {
            Some(event) => Kind::new(event),
            // Known dialects say it in the header or in the body; Meta's in neither.
            None => Kind::new(kind_in(body).as_deref().unwrap_or_default()),
        };
        (WebhookId::of(&kind, body), kind)
    }

    fn template(&self, number: u64) -> &Template {
        let (turn, step) = (number / TURN, number % TURN);
        let (of, nth) = match step.checked_sub(1) {
            // Asking takes a text, which the first of the examples is.
            None if self.turn_asks(turn) || self.turn_is_long(turn) => (&self.inbound, 0),
            None => (&self.inbound, turn),
            Some(status) => (&self.statuses, status),
        };
        let nth = usize::try_from(nth).unwrap_or_default() % of.len();
        &of[nth]
    }

    fn turn_asks(&self, turn: u64) -> bool {
        self.stream.ask_every > 0 && turn.is_multiple_of(self.stream.ask_every)
    }

    fn turn_is_long(&self, turn: u64) -> bool {
        turn % LONG_EVERY == LONG_EVERY - 1
    }

    fn text(&self, turn: u64, step: u64) -> &[u8] {
        match step {
            0 if self.turn_asks(turn) => &self.texts.asking,
            0 if self.turn_is_long(turn) => &self.texts.long,
            _ => &self.texts.usual,
        }
    }

    fn written_at(&self, number: u64) -> OffsetDateTime {
        let seconds = if self.stream.rate > 0.0 { number as f64 / self.stream.rate } else { 0.0 };
        self.since + time::Duration::seconds(seconds as i64)
    }

    /// As long as those of WhatsApp.
    fn name_message(&self, turn: u64, ours: bool, to: &mut Vec<u8>) {
        let (name, side) = (self.stream.name.as_str(), if ours { "OUT" } else { "IN" });
        // Writing to memory does not fail.
        let _ = write!(to, "wamid.HBgNNTQ5MTE1NTUwMDQ1NxUC{name:0>8}{turn:010}{side}");
    }
}

/// The kind that the guide's bodies name.
fn kind_in(body: &[u8]) -> Option<String> {
    let parsed: Value = serde_json::from_slice(body).ok()?;
    Some(parsed.get("event_type")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests;
