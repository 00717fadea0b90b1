//! What Kapso remembers of a number: its conversations and messages.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::{
    ids,
    story::{
        Contact, Content, Conversation, Direction, InboundMessage, Message, Status, StatusChange, digits,
    },
};

/// Conversations and messages, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Store {
    conversations: Vec<Conversation>,
    conversation_by_id: HashMap<String, usize>,
    /// The newest conversation with a contact, by number or business-scoped id.
    conversation_by_contact: HashMap<String, usize>,
    messages: Vec<Message>,
    /// When Kapso wrote down each of `messages`: not when it was written.
    created: Vec<OffsetDateTime>,
    message_by_name: HashMap<String, usize>,
}

/// An outbound message that is about to be written down.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    pub(crate) content: Content,
    pub(crate) context: Option<serde_json::Value>,
    pub(crate) callback_data: Option<String>,
    pub(crate) origin: &'static str,
    /// When Kapso writes it down, where that is not when it is written.
    pub(crate) created_at: Option<OffsetDateTime>,
}

impl Store {
    pub(crate) fn conversations(&self) -> &[Conversation] {
        &self.conversations
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// When the message at this place of [`Self::messages`] was written down.
    pub(crate) fn created_at(&self, place: usize) -> Option<OffsetDateTime> {
        self.created.get(place).copied()
    }

    pub(crate) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversation_by_id.get(id).and_then(|&at| self.conversations.get(at))
    }

    /// A message by Kapso's or Meta's id.
    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.message_by_name.get(name).and_then(|&at| self.messages.get(at))
    }

    /// The conversation of this id, made up if it is not known; with a number that nobody can have.
    pub(crate) fn conversation_or_new(&mut self, id: &str, at: OffsetDateTime) -> Conversation {
        if let Some(known) = self.conversation(id) {
            return known.clone();
        }
        let number = format!("999{:08}", self.conversations.len());
        let conversation =
            Conversation { id: id.to_owned(), ..Conversation::open(Contact::with_number(&number), at) };
        self.insert(conversation.clone());
        conversation
    }

    /// The open conversation with whom `to` names, else a new one; and whether it is new.
    pub(crate) fn conversation_with(
        &mut self,
        contact: &Contact,
        at: OffsetDateTime,
    ) -> (Conversation, bool) {
        let key = contact.number.as_ref().or(contact.bsuid.as_ref()).cloned().unwrap_or_default();
        let last = self.conversation_by_contact.get(&key).and_then(|&at| self.conversations.get_mut(at));
        match last {
            Some(last) => {
                // What is newly known of the contact stays known.
                last.contact.name = contact.name.clone().or(last.contact.name.take());
                last.contact.bsuid = contact.bsuid.clone().or(last.contact.bsuid.take());
                if !last.ended {
                    return (last.clone(), false);
                }
                let next = Conversation::open(last.contact.clone(), at);
                self.insert(next.clone());
                (next, true)
            }
            None => {
                let next = Conversation::open(contact.clone(), at);
                self.insert(next.clone());
                (next, true)
            }
        }
    }

    /// Writes down what a contact wrote.
    pub(crate) fn receive(&mut self, inbound: InboundMessage, now: OffsetDateTime) -> Message {
        let at = inbound.at.unwrap_or(now);
        let created = inbound.created_at.unwrap_or(at);
        let contact = Contact {
            number: inbound.from.as_deref().and_then(digits),
            name: inbound.name,
            bsuid: inbound.bsuid,
            created_at: at,
            id: ids::uuid(),
        };
        let (conversation, is_new) = match inbound.conversation_id {
            Some(id) if self.conversation(&id).is_some() => (self.conversation_or_new(&id, at), false),
            Some(id) => {
                let opened = Conversation { id, ..Conversation::open(contact, at) };
                self.insert(opened.clone());
                (opened, true)
            }
            None => self.conversation_with(&contact, at),
        };
        self.write(
            Message {
                id: inbound.message_id.unwrap_or_else(ids::uuid),
                wamid: inbound.wamid.unwrap_or_else(ids::wamid),
                direction: Direction::Inbound,
                is_new_conversation: is_new,
                content: inbound.content,
                at,
                context: inbound.context,
                referral: inbound.referral,
                origin: inbound.origin.unwrap_or_else(|| "cloud_api".to_owned()),
                callback_data: None,
                statuses: Vec::new(),
                conversation,
            },
            created,
        )
    }

    /// Writes down what the business sent.
    pub(crate) fn send(
        &mut self,
        conversation: Conversation,
        outbound: Outbound,
        at: OffsetDateTime,
    ) -> Message {
        self.write(
            Message {
                id: ids::uuid(),
                wamid: ids::wamid(),
                direction: Direction::Outbound,
                is_new_conversation: false,
                content: outbound.content,
                at,
                context: outbound.context,
                referral: None,
                origin: outbound.origin.to_owned(),
                callback_data: outbound.callback_data,
                statuses: Vec::new(),
                conversation,
            },
            outbound.created_at.unwrap_or(at),
        )
    }

    /// Adds a status to a message, and gives the message as it then is.
    pub(crate) fn advance(&mut self, name: &str, change: StatusChange) -> Option<Message> {
        let at = *self.message_by_name.get(name)?;
        let message = self.messages.get_mut(at)?;
        message.statuses.push(change);
        Some(message.clone())
    }

    /// Marks an inbound message as read, and with it the earlier ones of its conversation, as Meta does.
    pub(crate) fn mark_read(&mut self, name: &str, at: OffsetDateTime) -> Option<Message> {
        let index = *self.message_by_name.get(name)?;
        let conversation = self.messages.get(index)?.conversation.id.clone();
        let earlier = self.messages.iter_mut().take(index + 1);
        for message in
            earlier.filter(|it| it.direction == Direction::Inbound && it.conversation.id == conversation)
        {
            if message.statuses.is_empty() {
                message.statuses.push(StatusChange { status: Status::Read, at, error: None });
            }
        }
        self.messages.get(index).cloned()
    }

    /// Opens or closes a conversation, and gives it as it then is.
    pub(crate) fn set_ended(&mut self, id: &str, ended: bool, at: OffsetDateTime) -> Option<Conversation> {
        let conversation = self.conversation_by_id.get(id).and_then(|&at| self.conversations.get_mut(at))?;
        conversation.ended = ended;
        conversation.last_active_at = at;
        Some(conversation.clone())
    }

    fn insert(&mut self, conversation: Conversation) {
        let at = self.conversations.len();
        self.conversation_by_id.insert(conversation.id.clone(), at);
        let contact = &conversation.contact;
        for key in contact.number.iter().chain(&contact.bsuid) {
            self.conversation_by_contact.insert(key.clone(), at);
        }
        self.conversations.push(conversation);
    }

    fn write(&mut self, mut message: Message, created: OffsetDateTime) -> Message {
        if let Some(&index) = self.conversation_by_id.get(&message.conversation.id)
            && let Some(conversation) = self.conversations.get_mut(index)
        {
            conversation.messages += 1;
            // A message may be told late; the conversation is not younger for it.
            conversation.last_active_at = conversation.last_active_at.max(message.at);
            message.conversation = conversation.clone();
        }
        let index = self.messages.len();
        self.message_by_name.insert(message.id.clone(), index);
        self.message_by_name.insert(message.wamid.clone(), index);
        self.messages.push(message.clone());
        self.created.push(created);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn a_contact_has_one_open_conversation() {
        let mut store = Store::default();
        let first = store.receive(InboundMessage::text("+56 9 5550 1234", "uno"), now());
        let second = store.receive(InboundMessage::text("56955501234", "dos"), now());
        assert_eq!(first.conversation.id, second.conversation.id);
        assert!(first.is_new_conversation && !second.is_new_conversation);
        store.set_ended(&first.conversation.id, true, now());
        let third = store.receive(InboundMessage::text("56955501234", "tres"), now());
        assert_ne!(first.conversation.id, third.conversation.id);
        assert_eq!(first.conversation.contact.id, third.conversation.contact.id);
    }

    #[test]
    fn a_mark_covers_earlier_ones() {
        let mut store = Store::default();
        let first = store.receive(InboundMessage::text("1", "uno"), now());
        let second = store.receive(InboundMessage::text("1", "dos"), now());
        let third = store.receive(InboundMessage::text("1", "tres"), now());
        assert!(store.mark_read(&second.wamid, now()).is_some());
        assert_eq!(store.message(&first.id).map(Message::status), Some("read"));
        assert_eq!(store.message(&third.id).map(Message::status), Some("received"));
        assert!(store.mark_read("nobody", now()).is_none());
    }
}
