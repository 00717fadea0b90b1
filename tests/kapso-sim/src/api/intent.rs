//! What a valid call wants; and the effect that it has once nothing stands in its way.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    Request, list, number,
    platform::{self, WebhookChange},
    proxy,
    route::Route,
    send::{self, Fate},
    shape, v1,
};
use crate::{
    call::AcceptedMark,
    clock, delivery,
    fault::Action,
    reply::Reply,
    store::Outbound,
    story::{Contact, Event, Fact},
    world::World,
};

/// A call that is valid.
#[derive(Debug)]
pub(super) enum Intent {
    /// Send a message.
    Send { to: Recipient, outbound: Box<Outbound>, style: Style },
    /// Mark a message as read.
    Mark { message: String, typing: bool, style: Style },
    /// Open or close a conversation.
    SetEnded { conversation: String, ended: bool },
    /// Register, change or remove the number's webhook.
    Webhook(WebhookChange),
    /// Send a test event by the webhook of this id.
    Test { webhook: String, kind: String },
    /// Read something: the answer is already there.
    Read(Reply),
}

/// To whom a message goes.
#[derive(Debug)]
pub(super) enum Recipient {
    /// Whoever this conversation is with.
    Conversation(String),
    /// A contact, in the conversation that is open with it.
    Contact(Box<Contact>, String),
}

/// In which style the call came, and so is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The conversation API.
    Conversation,
    /// The Meta proxy.
    Proxy,
}

impl Intent {
    /// Validates a call as Kapso does.
    pub(super) fn of(world: &World, route: &Route, request: &Request, body: &Value) -> Result<Self, Reply> {
        let query: &HashMap<String, String> = &request.query;
        match route {
            Route::SendInConversation(id) => v1::send(world, id, body),
            Route::SendToNumber => v1::send_to_number(body),
            Route::MarkAsRead(id) => v1::mark(world, id, query),
            Route::UpdateConversation(id) => v1::update(world, id, body),
            Route::Conversations => list::conversations(world, query).map(Self::Read),
            Route::Conversation(id) => v1::conversation(world, id).map(Self::Read),
            Route::ConversationMessages(id) => list::messages(world, id, query).map(Self::Read),
            Route::Configs => list::configs(world, query).map(Self::Read),
            Route::ProxyMessage(number) => proxy::message(world, number, body),
            Route::ProxyMessages(number) => list::proxy_messages(world, number, query).map(Self::Read),
            Route::ProxyOneMessage(number, wamid) => {
                list::proxy_message(world, number, wamid, query).map(Self::Read)
            }
            Route::ProxyConversations(number) => {
                list::proxy_conversations(world, number, query).map(Self::Read)
            }
            Route::PlatformWebhooks(number) => {
                platform::webhooks(world, number.as_deref(), query).map(Self::Read)
            }
            Route::PlatformHealth(id) => number::health(world, id).map(Self::Read),
            Route::TestWebhook(id) => platform::test(world, id, body),
            Route::PlatformWebhook(id) => platform::webhook(world, id).map(Self::Read),
            Route::CreateWebhook(number) => platform::create(world, number.as_deref(), body),
            Route::UpdateWebhook(id) => platform::update(world, id, body),
            Route::DeleteWebhook(id) => platform::delete(world, id),
            Route::PlatformDeliveries => platform::deliveries(world, query).map(Self::Read),
            Route::PlatformMessages => list::platform_messages(world, query).map(Self::Read),
            Route::PlatformMessage(wamid) => list::platform_message(world, wamid).map(Self::Read),
            Route::PlatformNumbers => number::numbers(world, query).map(Self::Read),
            Route::PlatformNumber(id) => number::number(world, id).map(Self::Read),
        }
    }

    pub(super) fn action(&self) -> Action {
        match self {
            Self::Send { .. } => Action::Send,
            Self::Mark { .. } => Action::Mark,
            Self::SetEnded { .. } | Self::Webhook(_) | Self::Test { .. } => Action::Other,
            Self::Read(_) => Action::List,
        }
    }

    /// What this call is about, for faults that strike some only: as the call names it, and as the store does.
    pub(super) fn names(&self, world: &World) -> Vec<String> {
        let mut names = Vec::new();
        let store = world.store();
        let conversation = match self {
            Self::Send { to: Recipient::Conversation(id), .. } | Self::SetEnded { conversation: id, .. } => {
                names.push(id.clone());
                store.conversation(id)
            }
            Self::Send { to: Recipient::Contact(contact, _), .. } => {
                names.extend(contact.number.iter().chain(&contact.bsuid).cloned());
                None
            }
            Self::Mark { message, .. } => {
                names.push(message.clone());
                store.message(message).map(|message| &message.conversation)
            }
            Self::Webhook(_) | Self::Test { .. } | Self::Read(_) => None,
        };
        if let Some(conversation) = conversation {
            names.push(conversation.id.clone());
            names.extend(conversation.contact.number.clone());
        }
        names
    }

    /// Has its effect, and gives the answer that belongs to it.
    pub(super) fn apply(self, world: &Arc<World>, call: u64, fate: Fate) -> Reply {
        match self {
            Self::Send { to, outbound, style } => send::send(world, call, to, *outbound, style, fate),
            Self::Mark { message, typing, style } => mark(world, call, message, typing, style),
            Self::SetEnded { conversation, ended } => set_ended(world, &conversation, ended),
            Self::Webhook(change) => platform::apply(world, change),
            Self::Test { webhook, kind } => platform::send_test(world, &webhook, &kind),
            Self::Read(reply) => reply,
        }
    }
}

fn mark(world: &World, call: u64, message: String, typing: bool, style: Style) -> Reply {
    let now = clock::now();
    let marked = world.store().mark_read(&message, now);
    let reply = match style {
        Style::Proxy => Reply::json(200, json!({ "success": true })),
        Style::Conversation => {
            // A lenient simulator marks what it never saw: all it can say of it is its id.
            let data = marked.as_ref().map_or_else(
                || json!({ "id": message, "direction": "inbound", "status": "read" }),
                |marked| shape::v1_message(marked, true),
            );
            Reply::json(200, json!({ "data": data }))
        }
    };
    world.calls().marks.push(AcceptedMark {
        call,
        at: clock::iso_micros(now),
        message,
        conversation_id: marked.map(|marked| marked.conversation.id),
        typing,
    });
    reply
}

fn set_ended(world: &Arc<World>, id: &str, ended: bool) -> Reply {
    let now = clock::now();
    let Some(conversation) = world.store().set_ended(id, ended, now) else {
        return Reply::kapso(404, "Conversation not found");
    };
    let reply =
        Reply::json(200, json!({ "data": shape::v1_conversation(&world.config.line, &conversation) }));
    if ended {
        let event = Event { at: now, fact: Fact::ConversationEnded(conversation) };
        delivery::tell(world, world.dialect(), &event, 0);
    }
    reply
}
