//! Conversations: messages of all types both ways, and what became of those that the business wrote.

use kapso_sim::Dialect::{self, Guide, Meta, V1, V2};
use kapso_sim::story::{
    Contact, Content, Conversation, Direction, Event, Fact, Message, MessageError, Status, StatusChange,
};
use serde_json::json;
use time::OffsetDateTime;

use super::Story;

/// Both names are told: only by Kapso's first dialect are they told together.
const ALL: [Dialect; 4] = [Guide, V1, V2, Meta];

/// A contact with fixed ids.
pub(super) fn contact(nth: u8, number: Option<&str>, bsuid: Option<&str>, at: OffsetDateTime) -> Contact {
    Contact {
        id: format!("5e0c0000-0000-4000-8000-00000000000{nth}"),
        number: number.map(str::to_owned),
        name: Some(["Ana", "Beto", "Caro", "Dani"][usize::from(nth) % 4].to_owned()),
        bsuid: bsuid.map(str::to_owned),
        created_at: at,
    }
}

/// A conversation with a fixed id.
pub(super) fn conversation(nth: u8, contact: Contact, at: OffsetDateTime) -> Conversation {
    Conversation {
        id: format!("5e0d0000-0000-4000-8000-00000000000{nth}"),
        ..Conversation::open(contact, at)
    }
}

/// A message with fixed names.
pub(super) fn message(
    nth: u16,
    direction: Direction,
    conversation: &Conversation,
    content: Content,
    at: OffsetDateTime,
) -> Message {
    let mut conversation = conversation.clone();
    conversation.last_active_at = at;
    conversation.messages = u32::from(nth);
    Message {
        id: format!("5e0e0000-0000-4000-8000-000000000{nth:03}"),
        wamid: format!("wamid.HBgL{nth:03}"),
        direction,
        conversation,
        is_new_conversation: false,
        content,
        at,
        context: None,
        referral: None,
        origin: "cloud_api".to_owned(),
        callback_data: None,
        statuses: Vec::new(),
    }
}

/// Content whose media has an address that is the same in every run.
pub(super) fn sample(kind: &str, text: &str) -> Content {
    let mut content = Content::sample(kind, text).unwrap_or_else(|| Content::text(text));
    if let Some(media) = &mut content.media {
        media.url =
            format!("https://app.kapso.ai/rails/active_storage/blobs/redirect/x--c0ffee/{}", media.filename);
        content.summary = Some(format!("{kind} attached"));
    }
    content
}

pub(super) fn tell(story: &mut Story) {
    let ana = contact(0, Some("56911110001"), Some("CL.1001"), story.at(0));
    let first = conversation(1, ana.clone(), story.at(1));
    story.tell(&[Guide, V1, V2], &Event { at: story.at(1), fact: Fact::ConversationCreated(first.clone()) });
    story.tell(&[Guide], &Event { at: story.at(1), fact: Fact::ContactCreated(ana.clone()) });
    let kinds = [
        "text",
        "image",
        "audio",
        "document",
        "sticker",
        "location",
        "contacts",
        "interactive",
        "list_reply",
        "nfm_reply",
        "button",
        "order",
        "system",
        "unsupported",
    ];
    for (nth, kind) in (1..).zip(kinds) {
        let seconds = 10 + i64::from(nth);
        let mut said =
            message(nth, Direction::Inbound, &first, sample(kind, "Necesito ayuda"), story.at(seconds));
        if nth == 2 {
            said.context = Some(json!({ "id": "wamid.HBgL001", "from": "56225550100" }));
        }
        // One told by everybody, others by fewer: what nobody tells is not there.
        let dialects = if nth % 3 == 1 { &ALL[..] } else { &ALL[usize::from(nth) % 3 + 1..] };
        story.tell(dialects, &Event::received(said));
    }
    statuses(story, &first);
    let mut ended = first.clone();
    ended.ended = true;
    ended.last_active_at = story.at(300);
    story.tell(&[Guide, V1, V2], &Event { at: story.at(300), fact: Fact::ConversationEnded(ended) });
    // The same person again: another conversation. An older snapshot of it comes with a later event.
    let second = conversation(2, ana, story.at(400));
    story.tell(&[V2], &Event { at: story.at(400), fact: Fact::ConversationCreated(second.clone()) });
    for nth in 60..63 {
        let text = if nth == 61 { "AYUDA por favor" } else { "hola" };
        let said =
            message(nth, Direction::Inbound, &second, Content::text(text), story.at(400 + i64::from(nth)));
        story.tell(&ALL, &Event::received(said));
    }
}

/// Messages that the business wrote, each with another fate.
fn statuses(story: &mut Story, conversation: &Conversation) {
    use Status::{Delivered, Failed, Read, Sent};
    let fates: [&[Status]; 6] = [
        &[Sent, Delivered, Read],
        &[Sent, Read],
        &[Failed, Sent],
        &[Sent, Failed, Delivered],
        &[Read],
        &[Sent],
    ];
    for (nth, fate) in (30..).zip(fates) {
        let at = 100 + 10 * i64::from(nth);
        let mut ours =
            message(nth, Direction::Outbound, conversation, Content::text("Sí, dígame"), story.at(at));
        ours.callback_data = Some(format!("buzon:{nth}"));
        for (later, status) in (1..).zip(fate) {
            let error = (*status == Failed).then(|| MessageError {
                code: 131_047,
                title: "Re-engagement message".to_owned(),
                details: "More than 24 hours have passed".to_owned(),
            });
            let change = StatusChange { status: *status, at: story.at(at + later), error };
            ours.statuses.push(change.clone());
            let dialects = if nth % 2 == 0 { &ALL[..] } else { &ALL[1..] };
            story.tell(dialects, &Event::status(ours.clone(), change));
        }
    }
}
