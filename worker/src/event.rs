//! What a webhook says, whatever dialect it says it in: a list of events.
//!
//! Decoders make these values and projection reads them; no wire type comes this far.

mod dialect;

use time::OffsetDateTime;

pub use dialect::{Dialect, Listing};

/// When something happened, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The instant.
    pub at: OffsetDateTime,
    /// Whether the event itself names it; else it is when we received the webhook.
    pub timed: bool,
}

/// How far a clock without a time of its own is set back: 2^61 µs, some 73,000 years.
const UNTIMED_SETBACK: i64 = 1 << 61;

impl Moment {
    /// The event's own time, else the time of its arrival.
    #[must_use]
    pub fn new(own: Option<OffsetDateTime>, received_at: OffsetDateTime) -> Self {
        Self { at: own.unwrap_or(received_at), timed: own.is_some() }
    }

    /// A number that orders moments for "the latest wins": microseconds since 1970, with
    /// those that the event does not name set back behind all others.
    #[must_use]
    pub fn clock(self) -> i64 {
        let micros = i64::try_from(self.at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        if self.timed { micros } else { micros.saturating_sub(UNTIMED_SETBACK) }
    }

    /// The earlier of two, where one that the event names beats one that it does not.
    #[must_use]
    pub fn first(self, other: Self) -> Self {
        let order = |moment: &Self| (!moment.timed, moment.at);
        if order(&other) < order(&self) { other } else { self }
    }
}

/// One fact in a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the webhook, counted from 0.
    pub item: usize,
    /// When it happened.
    pub at: Moment,
    /// What happened.
    pub fact: Fact,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A message exists, with what this event knows of it.
    Message(Message),
    /// A message of ours got further, or failed.
    Status(Status),
    /// A conversation is in some state.
    Conversation(Conversation),
    /// A contact exists, with what this event knows of it.
    Contact(Contact),
    /// A contact reacted to a message, or took the reaction back.
    Reaction(Reaction),
    /// The author of a message changed its text, or deleted it.
    Revision(Revision),
    /// Something happened to a number, an account, a workflow, …
    Subject(SubjectEvent),
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The contact. First, so that the lesser one wins: an event that says "received" is right.
    Inbound,
    /// The business.
    Outbound,
}

impl Direction {
    /// As the table has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// A message, as far as one event knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// WhatsApp's id and Kapso's, those that are known. None: it is named by its webhook and item.
    pub names: Vec<String>,
    /// Who wrote it.
    pub direction: Option<Direction>,
    /// Kapso's conversation.
    pub conversation: Option<String>,
    /// The person on the other side.
    pub contact: ContactNames,
    /// Our number, as Meta names it.
    pub phone_number_id: Option<String>,
    /// The group that it was written in; none: a private chat.
    pub group: Option<String>,
    /// Where it was written: `cloud_api`, `business_app`, `history_sync`, …
    pub origin: Option<String>,
    /// `text`, `image`, …
    pub kind: Option<String>,
    /// The text or the caption.
    pub body: Option<String>,
    /// Where the media is and what it is.
    pub media: Option<Media>,
    /// What it answers or forwards: JSON.
    pub context: Option<String>,
    /// What else it holds, by its type: JSON.
    pub content: Option<String>,
    /// Whether this is the message's own event, so that the event's time is the message's, and it owes a reply. Not so
    /// for an event about its status, its text or its deletion.
    pub written_now: bool,
}

/// The media of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What is known of it: JSON.
    pub json: String,
    /// Whether the sender keeps a copy, and says where: Meta's own address soon expires.
    pub kept: bool,
}

/// A reaction to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// The names of the message that was reacted to.
    pub to: Vec<String>,
    /// Who reacted; nobody: the business.
    pub contact: ContactNames,
    /// The emoji; none: the reaction was taken back.
    pub emoji: Option<String>,
}

/// A change of a message after it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The names of the message that was changed.
    pub of: Vec<String>,
    /// What was changed.
    pub change: Change,
}

/// What the author of a message can do to it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The message has another text now. None: what changed is not its text.
    Edited(Option<String>),
    /// The message is deleted.
    Deleted,
}

/// What an event can be about that is neither a person, a conversation nor a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// One of our numbers.
    PhoneNumber,
    /// A WhatsApp business account.
    Account,
    /// One run of a workflow of Kapso's.
    WorkflowExecution,
    /// One run of an agent of Kapso's.
    AgentRun,
    /// One run of an agent of the older sort.
    AgentExecution,
    /// An event that the project's owner defined.
    ProjectEvent,
    /// A message template.
    Template,
}

impl SubjectKind {
    /// As the table has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PhoneNumber => "phone_number",
            Self::Account => "account",
            Self::WorkflowExecution => "workflow_execution",
            Self::AgentRun => "agent_run",
            Self::AgentExecution => "agent_execution",
            Self::ProjectEvent => "project_event",
            Self::Template => "template",
        }
    }
}

/// Something that happened to a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectEvent {
    /// What it is.
    pub kind: SubjectKind,
    /// Its id.
    pub id: String,
    /// What happened: `disconnected`, `handoff`, `completed`, … It is the subject's state then.
    pub event: String,
    /// The conversation that it concerns.
    pub conversation: Option<String>,
    /// All that the event says: JSON.
    pub details: String,
}

/// How far a message of ours got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// WhatsApp has it.
    Sent,
    /// The contact's phone has it.
    Delivered,
    /// The contact has read it.
    Read,
    /// The contact has played it, and so read it.
    Played,
    /// It will not arrive.
    Failed,
}

impl Progress {
    /// As the table has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

impl Progress {
    /// From Meta's name for it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sent, Self::Delivered, Self::Read, Self::Played, Self::Failed]
            .into_iter()
            .find(|progress| progress.name() == name)
    }
}

/// A status of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The message's names, as in [`Message::names`].
    pub names: Vec<String>,
    /// How far it got.
    pub progress: Progress,
    /// What came with it, such as pricing: JSON.
    pub details: Option<String>,
    /// Why it failed: JSON.
    pub error: Option<String>,
    /// What the request that sent the message asked to have echoed.
    pub callback_data: Option<String>,
}

/// A conversation of Kapso's, as far as one event knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// The person on the other side.
    pub contact: ContactNames,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// `active`, `ended`, …
    pub status: Option<String>,
    /// When something was last written in it.
    pub last_active_at: Option<OffsetDateTime>,
    /// When it began.
    pub created_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// When it had been silent for as long as the webhook asks.
    pub inactive_at: Option<OffsetDateTime>,
    /// What the business noted about it: JSON.
    pub metadata: Option<String>,
}

/// A person, as far as one event knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// What they are called by.
    pub names: ContactNames,
    /// What they were called by before: the same person, under a name that is no more.
    pub former: ContactNames,
    /// What they call themselves.
    pub name: Option<String>,
    /// Their `@name`.
    pub username: Option<String>,
    /// Whether they want advertising: `stopped`, `resumed`.
    pub marketing: Option<String>,
    /// When the sender created them.
    pub created_at: Option<OffsetDateTime>,
}

/// The names of one contact: all that one event gives, so all of the same person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactNames {
    /// Digits, with the country code.
    pub phone_number: Option<String>,
    /// Meta's business-scoped user id.
    pub bsuid: Option<String>,
    /// Kapso's id.
    pub kapso_id: Option<String>,
    /// Further numbers and business-scoped user ids of the same person: another form of the number, a former one.
    pub others: Vec<String>,
}

impl ContactNames {
    /// The names that an effect's recipient is: a phone number or a BSUID.
    #[must_use]
    pub fn of_recipient(recipient: Option<&str>) -> Self {
        let (phone_number, bsuid): (Option<&str>, Option<&str>) = match recipient {
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => (Some(number), None),
            other => (None, other),
        };
        Self {
            phone_number: phone_number.map(str::to_owned),
            bsuid: bsuid.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The ids that stand for these names (see `contacts.id`), the best first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let kapso_id = self.kapso_id.as_ref().map(|id| format!("kapso:{id}"));
        let own = [self.phone_number.clone(), self.bsuid.clone(), kapso_id];
        own.into_iter().flatten().chain(self.others.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: i64, timed: bool) -> Moment {
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
        Moment { at, timed }
    }

    #[test]
    fn a_time_of_its_own_wins_either_way() {
        let (own, noted) = (moment(100, true), moment(50, false));
        assert_eq!(own.first(noted), own);
        assert_eq!(noted.first(own), own);
        assert!(moment(100, true).clock() > moment(9_999_999, false).clock());
        assert!(moment(2, false).clock() > moment(1, false).clock());
    }
}
