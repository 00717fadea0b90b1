//! What can be made to happen on the number, by a test or through the control interface.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::{
    clock, delivery,
    delivery::Parcel,
    dialect::{Dialect, Webhook},
    ids,
    store::Outbound,
    story::{
        Contact, Conversation, Event, Fact, InboundMessage, PersonsMessage, PhoneCall, SentIds, Status,
        StatusChange, origin,
    },
    world::World,
};

/// A webhook whose body is given, not built: for kinds without a builder, and for what a receiver must survive.
#[derive(Clone, Debug)]
pub struct RawWebhook {
    /// The event's kind, for the header that names it.
    pub kind: String,
    /// The exact bytes to sign and send.
    pub body: Bytes,
    /// Chooses the headers; the simulator's dialect unless set.
    pub dialect: Option<Dialect>,
    /// Adds to the dialect's headers or replaces them; an empty value leaves that header out.
    pub headers: Vec<(String, String)>,
    /// Signs in place of the configured secret.
    pub secret: Option<String>,
    /// The idempotency key; else a new one.
    pub key: Option<String>,
}

impl RawWebhook {
    /// `body` as a webhook of `kind`, signed as usual.
    #[must_use]
    pub fn new(kind: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            kind: kind.into(),
            body: body.into(),
            dialect: None,
            headers: Vec::new(),
            secret: None,
            key: None,
        }
    }
}

/// A contact writes.
pub(crate) fn inbound(world: &Arc<World>, inbound: InboundMessage) -> SentIds {
    let dialect = inbound.dialect.unwrap_or_else(|| world.dialect());
    let (duplicates, lost) = (inbound.duplicates, inbound.lost);
    let message = world.store().receive(inbound, clock::now());
    let ids = SentIds {
        message_id: message.id.clone(),
        wamid: message.wamid.clone(),
        conversation_id: message.conversation.id.clone(),
    };
    if message.is_new_conversation && world.config.announce_conversations {
        let opened = Event { at: message.at, fact: Fact::ConversationCreated(message.conversation.clone()) };
        delivery::tell_or_lose(world, dialect, &opened, 0, lost);
    }
    delivery::tell_or_lose(world, dialect, &Event::received(message), duplicates, lost);
    ids
}

/// A person of the business writes to a contact.
pub(crate) fn person_writes(world: &Arc<World>, written: PersonsMessage) -> SentIds {
    let at = written.at.unwrap_or_else(clock::now);
    let origin = if written.on_the_phone { origin::PHONE } else { origin::API };
    let outbound = Outbound {
        content: written.content,
        context: None,
        callback_data: None,
        origin,
        created_at: written.created_at,
    };
    let change = StatusChange { status: Status::Sent, at, error: None };
    let message = {
        let mut store = world.store();
        let (conversation, _) = store.conversation_with(&Contact::with_number(&written.to), at);
        let message = store.send(conversation, outbound, at);
        store.advance(&message.id, change.clone()).unwrap_or(message)
    };
    let ids = SentIds {
        message_id: message.id.clone(),
        wamid: message.wamid.clone(),
        conversation_id: message.conversation.id.clone(),
    };
    let dialect = written.dialect.unwrap_or_else(|| world.dialect());
    delivery::tell_or_lose(world, dialect, &Event::status(message, change), 0, written.lost);
    ids
}

/// A workflow hands a conversation over to a person; the number of the delivery. A project's webhook:
/// in Kapso's second version whatever the number's is.
pub(crate) fn hand_off(world: &Arc<World>, conversation_id: &str, reason: &str) -> u64 {
    let kind = "workflow.execution.handoff";
    let body = json!({
        "event": kind,
        "occurred_at": clock::iso(clock::now()),
        "project_id": ids::uuid(),
        "workflow_id": ids::uuid(),
        "workflow_execution_id": ids::uuid(),
        "status": "handoff",
        "tracking_id": null,
        "channel": "whatsapp",
        "whatsapp_conversation_id": conversation_id,
        "handoff": { "reason": reason, "source": "agent_tool" },
    });
    send_raw(world, RawWebhook { dialect: Some(Dialect::V2), ..RawWebhook::new(kind, body.to_string()) })
}

/// Meta tells of a call; the number of the delivery. In Meta's own body whatever the number's webhook is: Kapso has
/// no event for it.
pub(crate) fn tell_call(world: &Arc<World>, call: &PhoneCall) -> u64 {
    let body = call.body(&world.config.line).to_string();
    send_raw(world, RawWebhook { dialect: Some(Dialect::Meta), ..RawWebhook::new("calls", body) })
}

/// A conversation is closed; the contact's next message opens another. None: there is no such conversation.
pub(crate) fn end_conversation(world: &Arc<World>, id: &str) -> Option<Conversation> {
    let now = clock::now();
    let conversation = world.store().set_ended(id, true, now)?;
    let event = Event { at: now, fact: Fact::ConversationEnded(conversation.clone()) };
    delivery::tell(world, world.dialect(), &event, 0);
    Some(conversation)
}

/// A webhook leaves as it is.
pub(crate) fn send_raw(world: &Arc<World>, raw: RawWebhook) -> u64 {
    let dialect = raw.dialect.unwrap_or_else(|| world.dialect());
    let webhook = Webhook { dialect, kind: raw.kind, body: raw.body, batch_size: None };
    let mut parcel = Parcel::raw(webhook);
    parcel.headers = raw.headers;
    parcel.secret = raw.secret;
    parcel.key = raw.key.unwrap_or(parcel.key);
    delivery::dispatch(world, parcel)
}

/// A webhook is delivered once more under its key. None: there is no such delivery.
pub(crate) fn repeat(world: &Arc<World>, number: u64) -> Option<u64> {
    let original = world.log().deliveries().iter().find(|delivery| delivery.number == number)?.clone();
    let webhook = Webhook {
        dialect: original.dialect,
        kind: original.kind,
        body: original.body,
        batch_size: original.batch_size,
    };
    let parcel = Parcel {
        key: original.idempotency_key,
        conversation_id: original.conversation_id,
        message_ids: original.message_ids,
        origin: Some(number),
        ..Parcel::raw(webhook)
    };
    Some(delivery::dispatch(world, parcel))
}
