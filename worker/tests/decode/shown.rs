//! Decoded webhooks as a person reads them: a block for each fact, a line for each field
//! that says something.

use std::fmt::Write as _;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use worker::decode::Decoded;
use worker::event::{Event, Fact};

use crate::statements::{Said, each};

/// All that a webhook said.
pub(crate) fn shown(decoded: &Decoded) -> String {
    let mut text = decoded.dialect.map_or("no dialect", |dialect| dialect.name()).to_owned();
    if decoded.not_understood > 0 {
        let _ = write!(text, ", {} not understood", decoded.not_understood);
    }
    text.push('\n');
    for event in &decoded.events {
        text.push('\n');
        one(event, &mut text);
    }
    for letter in &decoded.undecodable {
        let place = letter.item.as_deref().unwrap_or("the whole");
        let _ = write!(text, "\ndead letter: {place}: {}\n", letter.reason);
    }
    text
}

fn one(event: &Event, text: &mut String) {
    let what = match &event.fact {
        Fact::Message(_) => "message",
        Fact::Status(_) => "status",
        Fact::Conversation(_) => "conversation",
        Fact::Contact(_) => "contact",
        Fact::Reaction(_) => "reaction",
        Fact::Revision(_) => "revision",
        Fact::Subject(_) => "subject",
    };
    let at = if event.at.timed { instant(event.at.at) } else { "on arrival".to_owned() };
    let _ = writeln!(text, "{}: {what}, {at}", event.item);
    each(&event.fact, &mut |(called, said)| {
        let said = match said {
            Said::Id(text) | Said::PhoneNumber(text) | Said::Json(text) => text.to_owned(),
            Said::Text(words) => words.escape_debug().to_string(),
            Said::Time(at) => instant(at),
        };
        let _ = writeln!(text, "   {called}: {said}");
    });
}

fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
