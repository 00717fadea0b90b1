//! The load: webhooks of many kinds in every dialect, each with names of its own. What the nth one says, and what it
//! owes, follows from the seed; only its times are those of the moment.

use contract::envelope::WebhookId;
use contract::kind::Kind;
use kapso_sim::dialect::{self, BatchInfo, Dialect, Secrets, Webhook};
use kapso_sim::story::{
    Contact, Content, Conversation, Direction, Event, Fact, Line, Message, MessageError, Status, StatusChange,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;
use time::OffsetDateTime;

use crate::stage::SECRET;

/// Texts that the guide's rule answers.
const QUESTIONS: [&str; 4] = ["Necesito ayuda", "AYUDA por favor", "¡Áyúdà!", "hola, me ayudan? ayuda"];
/// Kinds of messages that no rule answers.
const SAYINGS: [&str; 8] =
    ["text", "text", "image", "audio", "document", "location", "interactive", "contacts"];
/// The dialects in which a single event is told.
const SINGLES: [Dialect; 4] = [Dialect::Guide, Dialect::V1, Dialect::V2, Dialect::Meta];
/// The most messages in one webhook.
const MOST: u64 = 4;

/// Tells webhooks.
#[derive(Debug)]
pub(super) struct Story {
    seed: u64,
    line: Line,
}

/// One webhook.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: WebhookId,
    pub(super) webhook: Webhook,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What has to become of it besides its archived bytes.
    pub(super) owes: Vec<Owe>,
    /// The sender misses the answer, and sends it once more.
    pub(super) again: bool,
}

/// Something that a webhook answered 200 must lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owe {
    /// A row of `messages`.
    Message(String),
    /// A row of `message_statuses`.
    Status { message: String, status: &'static str },
    /// A row of `conversations`.
    Conversation(String),
    /// A mark-as-read of this message, once.
    Mark(String),
    /// A reply to this message, which goes to this number, once.
    Reply { message: String, to: String },
}

impl Story {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, line: Line::default() }
    }

    /// The id of our number.
    pub(super) fn phone_number_id(&self) -> &str {
        &self.line.phone_number_id
    }

    /// The nth webhook.
    pub(super) fn tell(&self, nth: u64) -> Told {
        let mut random = StdRng::seed_from_u64(self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut teller = Teller { line: &self.line, nth, now: OffsetDateTime::now_utc(), owes: Vec::new() };
        let single = *SINGLES.choose(&mut random).unwrap_or(&Dialect::V2);
        let webhook = match random.random_range(0..100) {
            0..25 => teller.received(single, QUESTIONS.choose(&mut random).copied().unwrap_or_default()),
            25..45 => teller.received_sample(single, SAYINGS.choose(&mut random).copied().unwrap_or("text")),
            45..77 => teller.status(single),
            77..84 => teller.opened(random.random_bool(0.5)),
            84..89 => teller.batch(random.random_range(1..=MOST)),
            89..94 => teller.several(random.random_range(2..=MOST)),
            94..97 => teller.renamed(),
            _ => teller.unusual(random.random_bool(0.5)),
        };
        let owes = teller.owes;
        let webhook = webhook.unwrap_or_else(|| raw(Dialect::V2, "chaos.untold", json!({ "id": nth })));
        let kind = match webhook.dialect {
            // Meta's bodies name no kind, and Kapso names none for them.
            Dialect::Meta => Kind::unknown(),
            _ => Kind::new(&webhook.kind),
        };
        let secrets = Secrets { webhook: Some(SECRET.to_owned()), meta_app: None };
        Told {
            id: WebhookId::of(&kind, &webhook.body),
            headers: webhook.headers(&uuid(0x1d, nth, 0), &secrets),
            webhook,
            owes,
            again: random.random_bool(0.04),
        }
    }
}

/// Makes up one webhook, and notes what it owes.
struct Teller<'a> {
    line: &'a Line,
    nth: u64,
    now: OffsetDateTime,
    owes: Vec<Owe>,
}

impl Teller<'_> {
    /// A person that nobody else is: what is owed to one waits for nothing that is owed to another.
    fn person(&self, item: u64) -> Contact {
        let number = format!("569{:08}", self.nth * (MOST + 1) + item);
        Contact {
            id: uuid(0xc0, self.nth, item),
            name: Some(["Ana", "Beto", "Caro"][usize::try_from(self.nth % 3).unwrap_or(0)].to_owned()),
            ..Contact::with_number(&number)
        }
    }

    fn conversation(&self, item: u64) -> Conversation {
        Conversation { id: uuid(0xd0, self.nth, item), ..Conversation::open(self.person(item), self.now) }
    }

    fn message(&self, item: u64, direction: Direction, of: Conversation, content: Content) -> Message {
        Message {
            id: uuid(0xe0, self.nth, item),
            wamid: wamid(direction, self.nth, item),
            direction,
            conversation: of,
            is_new_conversation: true,
            content,
            at: self.now,
            context: None,
            referral: None,
            origin: "cloud_api".to_owned(),
            callback_data: None,
            statuses: Vec::new(),
        }
    }

    /// Somebody writes; every message is to be marked as read, and a question is to be answered.
    fn writes(&mut self, item: u64, of: Conversation, content: Content) -> Message {
        let message = self.message(item, Direction::Inbound, of, content);
        let name = message.wamid.clone();
        self.owes.extend([Owe::Message(name.clone()), Owe::Mark(name.clone())]);
        if message.content.typed_text().is_some_and(|text| QUESTIONS.contains(&text)) {
            let to = message.conversation.contact.number.clone().unwrap_or_default();
            self.owes.push(Owe::Reply { message: name, to });
        }
        message
    }

    fn tells(&self, dialect: Dialect, mut event: Event) -> Option<Webhook> {
        if let (Dialect::Guide, Fact::Received(message) | Fact::Status(message, _)) =
            (dialect, &mut event.fact)
        {
            // The guide's API marks by the name that its events give; here that is the wamid.
            message.id.clone_from(&message.wamid);
        }
        dialect::webhook(dialect, self.line, &event)
    }

    fn received(&mut self, dialect: Dialect, text: &str) -> Option<Webhook> {
        let message = self.writes(0, self.conversation(0), Content::text(text));
        self.tells(dialect, Event::received(message))
    }

    fn received_sample(&mut self, dialect: Dialect, kind: &str) -> Option<Webhook> {
        let content = Content::sample(kind, "buenas tardes").unwrap_or_else(|| Content::text("buenas"));
        let message = self.writes(0, self.conversation(0), content);
        self.tells(dialect, Event::received(message))
    }

    /// A message of ours, of some webhooks ago or to come, changes its status.
    fn status(&mut self, dialect: Dialect) -> Option<Webhook> {
        let (status, name) = [
            (Status::Sent, "sent"),
            (Status::Delivered, "delivered"),
            (Status::Read, "read"),
            (Status::Failed, "failed"),
        ][usize::try_from(self.nth % 4).unwrap_or(0)];
        let of = Teller { line: self.line, nth: self.nth / 4, now: self.now, owes: Vec::new() };
        let ours = of.message(MOST, Direction::Outbound, of.conversation(MOST), Content::text("Dígame"));
        let error = (status == Status::Failed).then(|| MessageError {
            code: 131_047,
            title: "Re-engagement message".to_owned(),
            details: "More than 24 hours have passed".to_owned(),
        });
        self.owes.push(Owe::Message(ours.wamid.clone()));
        self.owes.push(Owe::Status { message: ours.wamid.clone(), status: name });
        self.tells(dialect, Event::status(ours, StatusChange { status, at: self.now, error }))
    }

    fn opened(&mut self, ended: bool) -> Option<Webhook> {
        let mut conversation = self.conversation(0);
        conversation.ended = ended;
        self.owes.push(Owe::Conversation(conversation.id.clone()));
        let fact = if ended {
            Fact::ConversationEnded(conversation)
        } else {
            Fact::ConversationCreated(conversation)
        };
        self.tells(SINGLES[usize::try_from(self.nth % 3).unwrap_or(0)], Event { at: self.now, fact })
    }

    /// Several messages of one person, gathered by Kapso.
    fn batch(&mut self, size: u64) -> Option<Webhook> {
        let conversation = self.conversation(0);
        let events: Vec<Event> = (0..size)
            .map(|item| {
                let text = if item + 1 == size { QUESTIONS[0] } else { "una cosa más" };
                Event::received(self.writes(item, conversation.clone(), Content::text(text)))
            })
            .collect();
        let info = BatchInfo { window_ms: 5000, first_sequence: 1, last_sequence: size };
        Some(dialect::batch(self.line, &events, &info))
    }

    /// Messages of several people in one body of Meta's.
    fn several(&mut self, size: u64) -> Option<Webhook> {
        let events: Vec<Event> = (0..size)
            .map(|item| {
                let text = if item == 0 { QUESTIONS[0] } else { "buenas" };
                Event::received(self.writes(item, self.conversation(item), Content::text(text)))
            })
            .collect();
        dialect::meta_many(self.line, &events)
    }

    fn renamed(&mut self) -> Option<Webhook> {
        let contact = Contact { bsuid: Some(format!("CL.{}", self.nth)), ..self.person(0) };
        self.tells(Dialect::V2, Event { at: self.now, fact: Fact::ContactUpdated(contact, None) })
    }

    /// An event of the project's own, or a kind that nobody knows yet.
    fn unusual(&self, known: bool) -> Option<Webhook> {
        let id = format!("evt-{}", self.nth);
        Some(if known {
            let body = json!({
                "id": id, "event": "project.event", "name": "order_paid", "project_id": "p1",
                "occurred_at": self.now.unix_timestamp(), "properties": { "total": self.nth },
            });
            raw(Dialect::V2, "project.event", body)
        } else {
            raw(Dialect::V2, "whatsapp.meta_business_agent.handover", json!({ "id": id }))
        })
    }
}

fn raw(dialect: Dialect, kind: &str, body: serde_json::Value) -> Webhook {
    Webhook { dialect, kind: kind.to_owned(), body: body.to_string().into(), batch_size: None }
}

/// The name of the nth webhook's message.
fn wamid(direction: Direction, nth: u64, item: u64) -> String {
    let way = if direction == Direction::Inbound { 'I' } else { 'O' };
    format!("wamid.HBgCHAOS{way}{nth:012}{item}")
}

fn uuid(of: u8, nth: u64, item: u64) -> String {
    format!("5e{of:02x}0000-0000-4000-8{item:03x}-{nth:012x}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_is_a_story() {
        let (story, same, other) = (Story::of(1), Story::of(1), Story::of(2));
        let owes = |story: &Story| (0..200).map(|nth| story.tell(nth).owes).collect::<Vec<_>>();
        assert_eq!(owes(&story), owes(&same));
        assert_ne!(owes(&story), owes(&other));
    }

    #[test]
    fn nothing_is_told_twice() {
        let story = Story::of(3);
        let told: Vec<Told> = (0..3000).map(|nth| story.tell(nth)).collect();
        let ids: HashSet<_> = told.iter().map(|told| told.id).collect();
        assert_eq!(ids.len(), told.len());
        let effects = told.iter().flat_map(|told| &told.owes).filter(|owe| !matches!(owe, Owe::Message(_)));
        let effects: Vec<_> = effects.collect();
        assert_eq!(effects.iter().collect::<HashSet<_>>().len(), effects.len());
        let replies = effects.iter().filter(|owe| matches!(owe, Owe::Reply { .. })).count();
        assert!((500..1500).contains(&replies), "{replies}");
        assert!(told.iter().all(|told| !told.webhook.kind.starts_with("chaos.")));
    }
}
