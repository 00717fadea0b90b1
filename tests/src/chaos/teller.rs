//! One webhook of the load: what it says, and what that owes.

use kapso_sim::dialect::{self, BatchInfo, Dialect, Webhook};
use kapso_sim::story::{
    Contact, Content, Conversation, Direction, Event, Fact, Line, Message, MessageError, Status, StatusChange,
};
use serde_json::json;
use time::OffsetDateTime;

use super::story::Owe;

/// Texts that the guide's rule answers.
pub(super) const QUESTIONS: [&str; 4] =
    ["Necesito ayuda", "AYUDA por favor", "¡Áyúdà!", "hola, me ayudan? ayuda"];

/// The dialects in which a single event is told; all but the last tell of conversations.
pub(super) const SINGLES: [Dialect; 4] = [Dialect::Guide, Dialect::V1, Dialect::V2, Dialect::Meta];

/// The most messages in one webhook.
pub(super) const MOST: u64 = 4;

/// Makes up one webhook, and notes what it owes.
pub(super) struct Teller<'a> {
    line: &'a Line,
    nth: u64,
    now: OffsetDateTime,
    pub(super) owes: Vec<Owe>,
}

impl<'a> Teller<'a> {
    /// Of the nth webhook.
    pub(super) fn new(line: &'a Line, nth: u64) -> Self {
        Self { line, nth, now: OffsetDateTime::now_utc(), owes: Vec::new() }
    }

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

    pub(super) fn received(&mut self, dialect: Dialect, text: &str) -> Option<Webhook> {
        let message = self.writes(0, self.conversation(0), Content::text(text));
        self.tells(dialect, Event::received(message))
    }

    pub(super) fn received_sample(&mut self, dialect: Dialect, kind: &str) -> Option<Webhook> {
        let content = Content::sample(kind, "buenas tardes").unwrap_or_else(|| Content::text("buenas"));
        let message = self.writes(0, self.conversation(0), content);
        self.tells(dialect, Event::received(message))
    }

    /// A message of ours, of some webhooks ago or to come, changes its status.
    pub(super) fn status(&mut self, dialect: Dialect) -> Option<Webhook> {
        let (status, name) = [
            (Status::Sent, "sent"),
            (Status::Delivered, "delivered"),
            (Status::Read, "read"),
            (Status::Failed, "failed"),
        ][usize::try_from(self.nth % 4).unwrap_or(0)];
        let of = Teller::new(self.line, self.nth / 4);
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

    pub(super) fn opened(&mut self, ended: bool) -> Option<Webhook> {
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
    pub(super) fn batch(&mut self, size: u64) -> Option<Webhook> {
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
    pub(super) fn several(&mut self, size: u64) -> Option<Webhook> {
        let events: Vec<Event> = (0..size)
            .map(|item| {
                let text = if item == 0 { QUESTIONS[0] } else { "buenas" };
                Event::received(self.writes(item, self.conversation(item), Content::text(text)))
            })
            .collect();
        dialect::meta_many(self.line, &events)
    }

    pub(super) fn renamed(&mut self) -> Option<Webhook> {
        let contact = Contact { bsuid: Some(format!("CL.{}", self.nth)), ..self.person(0) };
        self.tells(Dialect::V2, Event { at: self.now, fact: Fact::ContactUpdated(contact, None) })
    }

    /// What stands in for what can't be told.
    pub(super) fn untold(&self) -> Webhook {
        raw(Dialect::V2, "chaos.untold", json!({ "id": self.nth }))
    }

    /// An event of the project's own, or a kind that nobody knows yet.
    pub(super) fn unusual(&self, known: bool) -> Option<Webhook> {
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
