//! What the control interface can make happen on the number.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{bad, not_found, read};
use crate::{
    act::{self, RawWebhook},
    api, clock, delivery,
    dialect::Dialect,
    story::{
        CallProgress, Contact, Content, Event, Fact, InboundMessage, MessageError, PersonsMessage, PhoneCall,
        SentIds, Status,
    },
    world::World,
};

/// More than this at once is a load test, and that has its own tool.
const MOST: u32 = 10_000;

/// Messages that a contact is to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundSpec {
    from: Option<String>,
    bsuid: Option<String>,
    name: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(rename = "type", default = "text")]
    kind: String,
    content: Option<Value>,
    dialect: Option<Dialect>,
    #[serde(default = "one")]
    count: u32,
    conversation_id: Option<String>,
    context: Option<Value>,
    referral: Option<Value>,
    origin: Option<String>,
    #[serde(default)]
    age_seconds: i64,
    /// When Kapso wrote it down; as old as the message unless said.
    created_age_seconds: Option<i64>,
    #[serde(default)]
    duplicates: u32,
    #[serde(default)]
    lost: bool,
}

fn text() -> String {
    "text".to_owned()
}

/// The time so many seconds ago.
fn before(seconds: i64) -> OffsetDateTime {
    clock::now() - Duration::seconds(seconds.clamp(0, 1 << 31))
}

fn one() -> u32 {
    1
}

impl InboundSpec {
    fn message(&self) -> Result<InboundMessage, String> {
        if self.from.is_none() && self.bsuid.is_none() {
            return Err("from (a number) or bsuid is required".to_owned());
        }
        if self.from.as_ref().is_some_and(|from| !from.contains(|it: char| it.is_ascii_digit())) {
            return Err("from is a number, e.g. +56912345678".to_owned());
        }
        let content = match &self.content {
            Some(body) => Content::raw(self.kind.clone(), body.clone()),
            None => Content::sample(&self.kind, &self.text).ok_or_else(|| {
                format!("unknown type {:?}; give its content to send it all the same", self.kind)
            })?,
        };
        Ok(InboundMessage {
            from: self.from.clone(),
            bsuid: self.bsuid.clone(),
            name: self.name.clone(),
            at: Some(before(self.age_seconds)),
            created_at: self.created_age_seconds.map(before),
            context: self.context.clone(),
            referral: self.referral.clone(),
            origin: self.origin.clone(),
            conversation_id: self.conversation_id.clone(),
            dialect: self.dialect,
            duplicates: self.duplicates,
            lost: self.lost,
            ..InboundMessage::new("", content)
        })
    }
}

pub(super) async fn inbound(world: Data<World>, body: Bytes) -> HttpResponse {
    let world = world.into_inner();
    let spec = match read::<InboundSpec>(&body) {
        Ok(spec) if (1..=MOST).contains(&spec.count) => spec,
        Ok(_) => return bad(&format!("count is between 1 and {MOST}")),
        Err(why) => return bad(&why),
    };
    match spec.message() {
        Ok(message) => {
            let ids: Vec<SentIds> = (0..spec.count).map(|_| act::inbound(&world, message.clone())).collect();
            HttpResponse::Accepted().json(json!({ "data": ids }))
        }
        Err(why) => bad(&why),
    }
}

/// A message that a person of the business is to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboundSpec {
    to: String,
    text: String,
    #[serde(default)]
    on_the_phone: bool,
    dialect: Option<Dialect>,
    #[serde(default)]
    age_seconds: i64,
    /// When Kapso wrote it down; as old as the message unless said.
    created_age_seconds: Option<i64>,
    #[serde(default)]
    lost: bool,
}

pub(super) async fn outbound(world: Data<World>, body: Bytes) -> HttpResponse {
    let spec = match read::<OutboundSpec>(&body) {
        Ok(spec) if spec.to.contains(|it: char| it.is_ascii_digit()) => spec,
        Ok(_) => return bad("to is a number, e.g. +56912345678"),
        Err(why) => return bad(&why),
    };
    let written = PersonsMessage {
        on_the_phone: spec.on_the_phone,
        at: Some(before(spec.age_seconds)),
        created_at: spec.created_age_seconds.map(before),
        dialect: spec.dialect,
        lost: spec.lost,
        ..PersonsMessage::in_the_inbox(spec.to, spec.text)
    };
    accepted(json!({ "data": act::person_writes(&world.into_inner(), written) }))
}

/// Anything else that can happen on the number.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum EventSpec {
    ConversationEnded {
        conversation_id: String,
    },
    HandedOff {
        conversation_id: String,
        reason: Option<String>,
    },
    Call {
        from: String,
        progress: CallProgress,
        call_id: Option<String>,
    },
    ConversationCreated {
        from: String,
        name: Option<String>,
    },
    ContactCreated {
        from: String,
        name: Option<String>,
    },
    ContactUpdated {
        from: String,
        name: Option<String>,
        bsuid: Option<String>,
        previous_bsuid: Option<String>,
    },
    MessageStatus {
        message_id: String,
        status: Status,
        code: Option<i64>,
        title: Option<String>,
    },
}

pub(super) async fn event(world: Data<World>, body: Bytes) -> HttpResponse {
    let world = world.into_inner();
    let now = clock::now();
    match read::<EventSpec>(&body) {
        Err(why) => bad(&why),
        Ok(EventSpec::ConversationEnded { conversation_id }) => {
            match act::end_conversation(&world, &conversation_id) {
                Some(_) => accepted(json!({ "conversation_id": conversation_id })),
                None => not_found("no such conversation"),
            }
        }
        Ok(EventSpec::HandedOff { conversation_id, reason }) => {
            let delivery = act::hand_off(&world, &conversation_id, reason.as_deref().unwrap_or_default());
            accepted(json!({ "delivery": delivery }))
        }
        Ok(EventSpec::Call { from, progress, call_id }) => {
            let call = PhoneCall::new(from, progress);
            let call = PhoneCall { id: call_id.unwrap_or(call.id), ..call };
            let delivery = act::tell_call(&world, &call);
            accepted(json!({ "call_id": call.id, "delivery": delivery }))
        }
        Ok(EventSpec::ConversationCreated { from, name }) => {
            let contact = Contact { name, ..Contact::with_number(&from) };
            let (conversation, _) = world.store().conversation_with(&contact, now);
            let id = conversation.id.clone();
            tell(&world, Fact::ConversationCreated(conversation));
            accepted(json!({ "conversation_id": id }))
        }
        Ok(EventSpec::ContactCreated { from, name }) => {
            let contact = Contact { name, ..Contact::with_number(&from) };
            let id = contact.id.clone();
            tell(&world, Fact::ContactCreated(contact));
            accepted(json!({ "contact_id": id }))
        }
        Ok(EventSpec::ContactUpdated { from, name, bsuid, previous_bsuid }) => {
            let contact = Contact { name, bsuid, ..Contact::with_number(&from) };
            let id = contact.id.clone();
            tell(&world, Fact::ContactUpdated(contact, previous_bsuid));
            accepted(json!({ "contact_id": id }))
        }
        Ok(EventSpec::MessageStatus { message_id, status, code, title }) => {
            let error = code.map(|code| {
                let title = title.unwrap_or_else(|| "Message undeliverable".to_owned());
                MessageError { code, details: title.clone(), title }
            });
            if api::change_status(&world, &message_id, status, error) {
                accepted(json!({ "message_id": message_id }))
            } else {
                not_found("no such message")
            }
        }
    }
}

fn tell(world: &Arc<World>, fact: Fact) {
    delivery::tell(world, world.dialect(), &Event { at: clock::now(), fact }, 0);
}

fn accepted(body: Value) -> HttpResponse {
    HttpResponse::Accepted().json(body)
}

/// A webhook to sign and send as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookSpec {
    kind: String,
    /// JSON, sent compact; a string is sent as it is.
    body: Value,
    dialect: Option<Dialect>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    secret: Option<String>,
    key: Option<String>,
}

pub(super) async fn webhook(world: Data<World>, body: Bytes) -> HttpResponse {
    let spec = match read::<WebhookSpec>(&body) {
        Ok(spec) => spec,
        Err(why) => return bad(&why),
    };
    let bytes = match spec.body {
        Value::String(text) => text,
        json => json.to_string(),
    };
    let raw = RawWebhook {
        dialect: spec.dialect,
        headers: spec.headers.into_iter().collect(),
        secret: spec.secret,
        key: spec.key,
        ..RawWebhook::new(spec.kind, bytes)
    };
    let delivery = act::send_raw(&world.into_inner(), raw);
    accepted(json!({ "delivery": delivery }))
}
