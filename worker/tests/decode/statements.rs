//! The fields of a fact, each with its name, its value, and what kind of value that is. All
//! are listed, so that a new one can't be forgotten: it does not compile then.

use time::OffsetDateTime;
use worker::event::{
    Change, Contact, ContactNames, Conversation, Fact, Media, Message, Reaction, Revision, Status,
    SubjectEvent,
};

/// What one field says.
pub(crate) enum Said<'a> {
    /// An id, of ours or another's.
    Id(&'a str),
    /// Digits.
    PhoneNumber(&'a str),
    /// Somebody's words, or a name.
    Text(&'a str),
    /// A JSON text.
    Json(&'a str),
    /// A time.
    Time(OffsetDateTime),
}

/// A field of a fact.
pub(crate) type Statement<'a> = (&'static str, Said<'a>);

/// Hands each field of a fact that says something to `to`.
pub(crate) fn each<'a>(fact: &'a Fact, to: &mut dyn FnMut(Statement<'a>)) {
    match fact {
        Fact::Message(message) => of_message(message, to),
        Fact::Status(Status { names, progress, details, error, callback_data }) => {
            names.iter().for_each(|name| to(("of", Said::Id(name))));
            to(("progress", Said::Text(progress.name())));
            json("details", details, to);
            json("error", error, to);
            callback_data.iter().for_each(|data| to(("echoed", Said::Text(data))));
        }
        Fact::Conversation(conversation) => of_conversation(conversation, to),
        Fact::Contact(contact) => of_contact(contact, to),
        Fact::Reaction(Reaction { to: names, contact, emoji }) => {
            names.iter().for_each(|name| to(("to", Said::Id(name))));
            of_names(["by number", "by bsuid", "by kapso_id"], contact, to);
            to(("emoji", Said::Text(emoji.as_deref().unwrap_or("(taken back)"))));
        }
        Fact::Revision(Revision { of, change }) => {
            of.iter().for_each(|name| to(("of", Said::Id(name))));
            match change {
                Change::Edited(body) => {
                    to(("edited", Said::Text(body.as_deref().unwrap_or("(not the text)"))))
                }
                Change::Deleted => to(("deleted", Said::Text("then"))),
            }
        }
        Fact::Subject(SubjectEvent { kind, id, event, conversation, details }) => {
            to(("kind", Said::Text(kind.name())));
            to(("id", Said::Id(id)));
            to(("event", Said::Id(event)));
            self::id("conversation", conversation, to);
            to(("details", Said::Json(details)));
        }
    }
}

fn of_message<'a>(message: &'a Message, to: &mut dyn FnMut(Statement<'a>)) {
    let Message {
        names,
        direction,
        conversation,
        contact,
        phone_number_id,
        group,
        origin,
        kind,
        body,
        media,
        context,
        content,
        written_now,
    } = message;
    names.iter().for_each(|name| to(("id", Said::Id(name))));
    if let Some(direction) = direction {
        to(("direction", Said::Text(direction.name())));
    }
    if *written_now {
        to(("written", Said::Text("then")));
    }
    of_names(["contact number", "contact bsuid", "contact kapso_id"], contact, to);
    id("our number", phone_number_id, to);
    id("conversation", conversation, to);
    id("group", group, to);
    text("origin", origin, to);
    text("type", kind, to);
    text("body", body, to);
    if let Some(Media { json, kept }) = media {
        to((if *kept { "media, kept" } else { "media" }, Said::Json(json)));
    }
    json("context", context, to);
    json("content", content, to);
}

fn of_conversation<'a>(conversation: &'a Conversation, to: &mut dyn FnMut(Statement<'a>)) {
    let Conversation {
        id: own,
        contact,
        phone_number_id,
        status,
        last_active_at,
        created_at,
        ended_at,
        inactive_at,
        metadata,
    } = conversation;
    to(("id", Said::Id(own)));
    of_names(["contact number", "contact bsuid", "contact kapso_id"], contact, to);
    id("our number", phone_number_id, to);
    text("status", status, to);
    time("created", created_at, to);
    time("last active", last_active_at, to);
    time("ended", ended_at, to);
    time("inactive", inactive_at, to);
    json("metadata", metadata, to);
}

fn of_contact<'a>(contact: &'a Contact, to: &mut dyn FnMut(Statement<'a>)) {
    let Contact { names, former, name, username, marketing, created_at } = contact;
    of_names(["number", "bsuid", "kapso_id"], names, to);
    of_names(["former number", "former bsuid", "former kapso_id"], former, to);
    text("name", name, to);
    text("username", username, to);
    text("marketing", marketing, to);
    time("created", created_at, to);
}

fn of_names<'a>(called: [&'static str; 3], names: &'a ContactNames, to: &mut dyn FnMut(Statement<'a>)) {
    let ContactNames { phone_number, bsuid, kapso_id, others } = names;
    if let Some(number) = phone_number {
        to((called[0], Said::PhoneNumber(number)));
    }
    id(called[1], bsuid, to);
    id(called[2], kapso_id, to);
    others.iter().for_each(|other| to(("also known as", Said::Id(other))));
}

fn id<'a>(called: &'static str, value: &'a Option<String>, to: &mut dyn FnMut(Statement<'a>)) {
    value.iter().for_each(|value| to((called, Said::Id(value))));
}

fn text<'a>(called: &'static str, value: &'a Option<String>, to: &mut dyn FnMut(Statement<'a>)) {
    value.iter().for_each(|value| to((called, Said::Text(value))));
}

fn json<'a>(called: &'static str, value: &'a Option<String>, to: &mut dyn FnMut(Statement<'a>)) {
    value.iter().for_each(|value| to((called, Said::Json(value))));
}

fn time<'a>(called: &'static str, value: &'a Option<OffsetDateTime>, to: &mut dyn FnMut(Statement<'a>)) {
    value.iter().for_each(|value| to((called, Said::Time(*value))));
}
