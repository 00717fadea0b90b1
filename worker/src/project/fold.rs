//! A slice of events folded to at most one row for each id. Pure.

use std::collections::BTreeMap;

use super::{
    Received, Sourced,
    aliases::Resolved,
    contacts::ContactRow,
    conversations::ConversationRow,
    messages::{Body, MessageRow, Occurred},
    names::is_kapso_message,
    reactions::{BUSINESS, ReactionKey, ReactionRow},
    registers::{First, Latest, Party, Ranked, greatest},
    statuses::StatusKey,
    subjects::{SubjectRow, Subjects},
};
use crate::event::{
    Change, Contact, ContactNames, Conversation, Dialect, Direction, Fact, Message, Progress, Reaction,
    Revision, Status, SubjectEvent,
};

/// The rows of a slice, by table. Sorted by key, so that two transactions that touch the
/// same rows take their locks in the same order.
#[derive(Default)]
pub(super) struct Folded {
    pub(super) contacts: BTreeMap<String, ContactRow>,
    pub(super) conversations: BTreeMap<String, ConversationRow>,
    pub(super) messages: BTreeMap<String, MessageRow>,
    pub(super) statuses: BTreeMap<StatusKey, Ranked>,
    pub(super) reactions: BTreeMap<ReactionKey, ReactionRow>,
    pub(super) subjects: Subjects,
    pub(super) received: Vec<Received>,
}

/// The sets of names by which the events call contacts.
pub(super) fn contact_names(events: &[Sourced]) -> Vec<Vec<String>> {
    let names = events.iter().map(|sourced| match &sourced.event.fact {
        Fact::Message(message) => message.contact.ids(),
        Fact::Conversation(conversation) => conversation.contact.ids(),
        Fact::Contact(contact) => {
            let mut names = contact.names.ids();
            names.extend(contact.former.ids());
            names
        }
        Fact::Reaction(reaction) => reaction.contact.ids(),
        Fact::Status(_) | Fact::Revision(_) | Fact::Subject(_) => Vec::new(),
    });
    names.filter(|names| !names.is_empty()).collect()
}

/// The sets of names by which the events call messages.
pub(super) fn message_names(events: &[Sourced]) -> Vec<Vec<String>> {
    let names = events.iter().filter_map(|sourced| match &sourced.event.fact {
        Fact::Message(Message { names, .. })
        | Fact::Status(Status { names, .. })
        | Fact::Reaction(Reaction { to: names, .. })
        | Fact::Revision(Revision { of: names, .. }) => Some(names.clone()),
        Fact::Conversation(_) | Fact::Contact(_) | Fact::Subject(_) => None,
    });
    names.filter(|names| !names.is_empty()).collect()
}

/// Folds the events, with their names resolved.
pub(super) fn fold(events: &[Sourced], contacts: &Resolved, messages: &Resolved) -> Folded {
    let mut folded = Folded::default();
    for sourced in events {
        let message_id = |names: &[String]| messages.id(names).unwrap_or_else(|| unnamed(sourced));
        match &sourced.event.fact {
            Fact::Message(message) => {
                let contact = contacts.party(&message.contact.ids());
                folded.message(sourced, message, message_id(&message.names), contact);
            }
            Fact::Status(status) => folded.status(sourced, status, message_id(&status.names)),
            Fact::Conversation(conversation) => {
                let contact = contacts.party(&conversation.contact.ids());
                folded.conversation(sourced, conversation, contact);
            }
            Fact::Contact(contact) => {
                if let Some(id) = contacts.id(&contact.names.ids()) {
                    folded.contact(sourced, contact, id);
                }
            }
            Fact::Reaction(reaction) => {
                let reactor = contacts.id(&reaction.contact.ids());
                folded.reaction(sourced, reaction, message_id(&reaction.to), reactor);
            }
            Fact::Revision(revision) => folded.revision(sourced, revision, message_id(&revision.of)),
            Fact::Subject(event) => folded.subject(sourced, event),
        }
    }
    folded
}

/// The id of a message that has no name: what told it, and its place in that.
fn unnamed(sourced: &Sourced) -> String {
    format!("{}:{}", sourced.source, sourced.event.item)
}

impl Folded {
    fn message(&mut self, sourced: &Sourced, message: &Message, id: String, contact: Option<Party>) {
        let at = sourced.event.at;
        let rank = sourced.dialect.rank();
        let ranked = |value: &Option<String>| Ranked::new(rank, value.clone());
        let is_news = message.written_now && sourced.dialect.is_live();
        if message.direction == Some(Direction::Inbound) && is_news {
            self.received.push(Received {
                message_id: id.clone(),
                at,
                received_at: sourced.received_at,
                kapso_message_id: kapso_name(sourced.dialect, message),
                conversation_id: message.conversation.clone(),
                contact_id: contact.as_ref().map(|party| party.id.clone()),
                recipient: recipient(&message.contact),
                phone_number_id: message.phone_number_id.clone(),
                group_id: message.group.clone(),
                kind: message.kind.clone(),
                origin: message.origin.clone(),
                body: message.body.clone(),
            });
        }
        let row = MessageRow {
            conversation_id: message.conversation.clone(),
            contact,
            phone_number_id: message.phone_number_id.clone(),
            direction: message.direction,
            group_id: message.group.clone(),
            origin: message.origin.clone(),
            kind: ranked(&message.kind),
            body: Body::written(rank, message.body.clone()),
            media: Ranked::new(
                media_rank(rank, message),
                message.media.as_ref().map(|media| media.json.clone()),
            ),
            context: ranked(&message.context),
            content: ranked(&message.content),
            occurred: if message.written_now { Occurred::new(rank, at) } else { Occurred::default() },
            ..MessageRow::default()
        };
        self.messages.entry(id).or_default().join(row);
    }

    fn status(&mut self, sourced: &Sourced, status: &Status, id: String) {
        let at = sourced.event.at;
        let mut row = MessageRow {
            error: Latest::new(at, status.error.clone()),
            callback_data: status.callback_data.clone(),
            ..MessageRow::default()
        };
        let first = First::at(at);
        match status.progress {
            Progress::Sent => row.sent = first,
            Progress::Delivered => row.delivered = first,
            Progress::Read | Progress::Played => row.read = first,
            Progress::Failed => row.failed = first,
        }
        let details = status.details.clone().or_else(|| status.error.clone());
        let details = Ranked::new(sourced.dialect.rank(), details);
        self.messages.entry(id.clone()).or_default().join(row);
        self.statuses.entry((id, status.progress, at.at)).or_default().join(details);
    }

    fn revision(&mut self, sourced: &Sourced, revision: &Revision, id: String) {
        let at = sourced.event.at;
        let row = match &revision.change {
            Change::Edited(body) => MessageRow {
                body: Body::edited(at, sourced.dialect.rank(), body.clone()),
                edited_at: Some(at.at),
                ..MessageRow::default()
            },
            Change::Deleted => MessageRow { deleted_at: Some(at.at), ..MessageRow::default() },
        };
        self.messages.entry(id).or_default().join(row);
    }

    fn conversation(&mut self, sourced: &Sourced, conversation: &Conversation, contact: Option<Party>) {
        let row = ConversationRow {
            contact,
            phone_number_id: conversation.phone_number_id.clone(),
            status: Latest::new(sourced.event.at, conversation.status.clone()),
            created_at: conversation.created_at,
            last_active_at: conversation.last_active_at,
            ended_at: conversation.ended_at,
            inactive_at: conversation.inactive_at,
            metadata: Latest::new(sourced.event.at, conversation.metadata.clone()),
        };
        self.conversations.entry(conversation.id.clone()).or_default().join(row);
    }

    fn contact(&mut self, sourced: &Sourced, contact: &Contact, id: String) {
        let latest = |value: &Option<String>| Latest::new(sourced.event.at, value.clone());
        let row = ContactRow {
            phone_number: latest(&contact.names.phone_number),
            bsuid: latest(&contact.names.bsuid),
            kapso_id: contact.names.kapso_id.clone(),
            name: latest(&contact.name),
            username: latest(&contact.username),
            marketing: latest(&contact.marketing),
            created_at: contact.created_at,
        };
        self.contacts.entry(id).or_default().join(row);
    }

    fn reaction(&mut self, sourced: &Sourced, reaction: &Reaction, to: String, reactor: Option<String>) {
        let row = ReactionRow { clock: sourced.event.at.clock(), emoji: reaction.emoji.clone() };
        let key = (to, reactor.unwrap_or_else(|| BUSINESS.to_owned()));
        match self.reactions.get_mut(&key) {
            Some(kept) => greatest(kept, row),
            None => {
                self.reactions.insert(key, row);
            }
        }
    }

    fn subject(&mut self, sourced: &Sourced, event: &SubjectEvent) {
        let at = sourced.event.at;
        let row =
            SubjectRow { clock: at.clock(), state: event.event.clone(), details: event.details.clone() };
        self.subjects.add((event.kind, event.id.clone()), row, at.at, event.conversation.clone());
    }
}

/// Who says where the media is kept is better informed about it than who does not.
fn media_rank(rank: i16, message: &Message) -> i16 {
    rank * 2 + i16::from(message.media.as_ref().is_some_and(|media| media.kept))
}

/// The guide's one name is Kapso's, whatever it looks like; elsewhere it is the one that is
/// not WhatsApp's.
fn kapso_name(dialect: Dialect, message: &Message) -> Option<String> {
    message.names.iter().find(|name| dialect == Dialect::Guide || is_kapso_message(name)).cloned()
}

fn recipient(contact: &ContactNames) -> Option<String> {
    contact.phone_number.clone().or_else(|| contact.bsuid.clone())
}
