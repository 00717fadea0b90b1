//! How long an id may be. Postgres keeps ids in indexes, whose rows are at most 2704 bytes;
//! one that is longer would be refused with its whole batch. Source: PostgreSQL, "B-Tree
//! Indexes".

use super::Told;
use crate::event::{ContactNames, Fact};

/// The longest id, in bytes; a wamid has some 60. An index row holds up to three of them.
const MAX_ID_BYTES: usize = 512;

/// An item, unless an id in it is longer than can be stored.
pub(super) fn kept(told: Told) -> Told {
    let too_long = match &told {
        Told::Facts(facts) | Told::InPart(facts) => facts.iter().find_map(|(_, fact)| overlong(fact)),
        Told::NotUnderstood | Told::Undecodable(_) => None,
    };
    match too_long {
        Some(what) => Told::Undecodable(format!("{what} is longer than {MAX_ID_BYTES} bytes")),
        None => told,
    }
}

/// What in a fact has an id that is too long.
fn overlong(fact: &Fact) -> Option<&'static str> {
    const MESSAGE: &str = "the message's id";
    const CONVERSATION: &str = "the conversation's id";
    const NUMBER: &str = "the id of our number";
    match fact {
        Fact::Message(message) => any(&message.names, MESSAGE)
            .or_else(|| any(&message.conversation, CONVERSATION))
            .or_else(|| any(&message.phone_number_id, NUMBER))
            .or_else(|| any(&message.group, "the group's id"))
            .or_else(|| contact(&message.contact)),
        Fact::Revision(revision) => any(&revision.of, MESSAGE),
        Fact::Status(status) => any(&status.names, MESSAGE),
        Fact::Conversation(conversation) => any([&conversation.id], CONVERSATION)
            .or_else(|| any(&conversation.phone_number_id, NUMBER))
            .or_else(|| contact(&conversation.contact)),
        Fact::Contact(known) => contact(&known.names).or_else(|| contact(&known.former)),
        Fact::Reaction(reaction) => any(&reaction.to, MESSAGE).or_else(|| contact(&reaction.contact)),
        Fact::Subject(subject) => any([&subject.id], "the id of what it is about")
            .or_else(|| any([&subject.event], "the name of the event"))
            .or_else(|| any(&subject.conversation, CONVERSATION)),
    }
}

fn any<'a>(ids: impl IntoIterator<Item = &'a String>, what: &'static str) -> Option<&'static str> {
    ids.into_iter().any(|id| id.len() > MAX_ID_BYTES).then_some(what)
}

fn contact(names: &ContactNames) -> Option<&'static str> {
    let ContactNames { phone_number, bsuid, kapso_id, others } = names;
    any([phone_number, bsuid, kapso_id].into_iter().flatten().chain(others), "the contact's id")
}
