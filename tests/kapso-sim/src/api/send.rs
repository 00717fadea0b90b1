//! An accepted send: the message is written down, and its statuses will follow.

use std::sync::Arc;

use rand::RngExt as _;
use serde_json::{Value, json};

use super::{
    intent::{Recipient, Style},
    shape,
};
use crate::{
    account::MessageStatus,
    call::AcceptedSend,
    clock, delivery,
    dialect::Dialect,
    reply::Reply,
    store::Outbound,
    story::{Event, Message, MessageError, Status, StatusChange},
    world::World,
};

/// What is to become of an accepted send, beyond the usual.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// The message fails later.
    pub(super) fails: Option<MessageError>,
    /// Meta holds the message to assess its quality.
    pub(super) held: bool,
}

pub(super) fn send(
    world: &Arc<World>,
    call: u64,
    to: Recipient,
    outbound: Outbound,
    style: Style,
    fate: Fate,
) -> Reply {
    let now = clock::now();
    let (message, input) = write(world, to, outbound);
    let reply = match style {
        // Kapso answers before Meta has named the message, as far as the guide's integration could see.
        Style::Conversation => {
            let named = world.dialect() != Dialect::Guide;
            Reply::json(201, json!({ "data": shape::v1_message(&message, named) }))
        }
        Style::Proxy => {
            let status = if fate.held {
                MessageStatus::HeldForQualityAssessment
            } else {
                world.account().message_status
            };
            Reply::json(200, sent(&message, &input, status))
        }
    };
    let contact = &message.conversation.contact;
    world.calls().sends.push(AcceptedSend {
        call,
        at: clock::iso_micros(now),
        at_ms: clock::millis(now),
        message_id: message.id.clone(),
        wamid: message.wamid.clone(),
        conversation_id: message.conversation.id.clone(),
        to: contact.number.clone().or_else(|| contact.bsuid.clone()),
        kind: message.content.kind.clone(),
        text: message.content.typed_text().map(str::to_owned),
        context_message_id: message
            .context
            .as_ref()
            .and_then(|context| context.get("id").and_then(Value::as_str))
            .map(str::to_owned),
        callback_data: message.callback_data.clone(),
    });
    follow_up(world, &message.id, fate.fails);
    reply
}

fn write(world: &World, to: Recipient, outbound: Outbound) -> (Message, String) {
    let now = clock::now();
    let mut store = world.store();
    let (conversation, input) = match to {
        Recipient::Conversation(id) => {
            let conversation = store.conversation_or_new(&id, now);
            let input = conversation.contact.number.clone().unwrap_or_default();
            (conversation, input)
        }
        Recipient::Contact(contact, input) => (store.conversation_with(&contact, now).0, input),
    };
    (store.send(conversation, outbound, now), input)
}

/// Meta's answer to a send. To whom a business-scoped id addresses it names no number.
fn sent(message: &Message, input: &str, status: MessageStatus) -> Value {
    let contact = &message.conversation.contact;
    let contact = if contact.bsuid.as_deref() == Some(input) {
        json!({ "input": input, "wa_id": null, "user_id": input })
    } else {
        json!({ "input": input, "wa_id": contact.number })
    };
    json!({
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{ "id": message.wamid, "message_status": status }],
    })
}

/// Lets the statuses of an accepted send follow it: sent, delivered, read; or sent and then failed.
fn follow_up(world: &Arc<World>, message: &str, fails: Option<MessageError>) {
    let plan = world.config.statuses;
    let mut steps = vec![(Status::Sent, plan.sent, None)];
    match fails {
        Some(error) => steps.push((Status::Failed, plan.delivered.or(plan.sent), Some(error))),
        None => {
            steps.push((Status::Delivered, plan.delivered, None));
            steps.push((Status::Read, plan.read, None));
        }
    }
    let last = steps.iter().filter_map(|(_, after, _)| *after).max().unwrap_or_default();
    for (status, after, error) in steps {
        let Some(mut after) = after else { continue };
        if world.config.shuffle {
            after = last.mul_f64(world.rng().random_range(0.0..=1.0));
        }
        let name = message.to_owned();
        let later = Arc::clone(world);
        world.spawn(async move {
            tokio::time::sleep(later.scale.of(after)).await;
            change_status(&later, &name, status, error);
        });
    }
}

/// Gives a message a status, and tells of it; false if there is no such message.
pub(crate) fn change_status(
    world: &Arc<World>,
    message: &str,
    status: Status,
    error: Option<MessageError>,
) -> bool {
    let change = StatusChange { status, at: clock::now(), error };
    let Some(message) = world.store().advance(message, change.clone()) else {
        return false;
    };
    delivery::tell(world, world.dialect(), &Event::status(message, change), 0);
    true
}
