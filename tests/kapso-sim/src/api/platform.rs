//! The platform API: the number's webhooks and their deliveries, numbers, and messages in Kapso v2's shape.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{intent::Intent, list, proxy};
use crate::{
    clock,
    delivery::{self, Delivery, DeliveryState, Parcel},
    dialect::{Dialect, Webhook},
    ids,
    reply::Reply,
    subscription::{Change, Subscription},
    world::World,
};

/// What a call does to the number's webhooks.
#[derive(Debug)]
pub(super) enum WebhookChange {
    /// Registers one.
    Create(Change),
    /// Changes the one of this id.
    Update(String, Change),
    /// Removes it.
    Delete(String),
}

pub(super) fn webhooks(
    world: &World,
    number: Option<&str>,
    query: &HashMap<String, String>,
) -> Result<Reply, Reply> {
    number.map_or(Ok(()), |number| proxy::known_number(world, number))?;
    let wanted = |webhook: &Value| {
        let url = webhook["url"].as_str().unwrap_or_default();
        query.get("url_contains").is_none_or(|part| url.contains(part))
            && query.get("active").is_none_or(|wanted| wanted.parse() == Ok(webhook["active"] == true))
    };
    list::page(all(world).into_iter().filter(wanted).collect(), query)
}

pub(super) fn webhook(world: &World, id: &str) -> Result<Reply, Reply> {
    Ok(Reply::json(200, json!({ "data": known(world, id)? })))
}

pub(super) fn create(world: &World, number: Option<&str>, body: &Value) -> Result<Intent, Reply> {
    number.map_or(Ok(()), |number| proxy::known_number(world, number))?;
    let change = read(body)?;
    if !change.has_url() {
        return Err(Reply::kapso(422, "Url is invalid"));
    }
    if !change.has_secret() {
        return Err(Reply::kapso(422, "Secret key can't be blank"));
    }
    Ok(Intent::Webhook(WebhookChange::Create(change)))
}

pub(super) fn update(world: &World, id: &str, body: &Value) -> Result<Intent, Reply> {
    let webhook = subscribed(world, id)?;
    let change = read(body)?;
    webhook.allows(&change).map_err(|why| Reply::kapso(422, &why))?;
    Ok(Intent::Webhook(WebhookChange::Update(id.to_owned(), change)))
}

pub(super) fn delete(world: &World, id: &str) -> Result<Intent, Reply> {
    known(world, id)?;
    Ok(Intent::Webhook(WebhookChange::Delete(id.to_owned())))
}

/// Lets a change have its effect.
pub(super) fn apply(world: &World, change: WebhookChange) -> Reply {
    match change {
        WebhookChange::Delete(id) => {
            if world.subscription().is(&id) {
                world.set_webhook_url(None);
            }
            world.others().retain(|other| other.id != id);
            Reply::json(200, json!({ "data": null }))
        }
        WebhookChange::Create(change) => {
            let active = change.active.unwrap_or(true);
            let new = Subscription::registered(change);
            let id = new.id.clone();
            if world.webhook_url().is_none() {
                *world.subscription() = new;
                world.breaker().set(!active);
            } else {
                world.others().push(new);
            }
            Reply::json(201, json!({ "data": known(world, &id).unwrap_or_default() }))
        }
        WebhookChange::Update(id, change) => {
            if world.subscription().is(&id) {
                if let Some(active) = change.active {
                    world.breaker().set(!active);
                }
                world.subscription().change(change);
            } else if let Some(other) = world.others().iter_mut().find(|other| other.id == id) {
                other.change(change);
            }
            Reply::json(200, json!({ "data": known(world, &id).unwrap_or_default() }))
        }
    }
}

/// A test event has to be of a kind that the webhook is subscribed to; only the body names it. The words of the
/// refusals are not documented.
pub(super) fn test(world: &World, id: &str, body: &Value) -> Result<Intent, Reply> {
    let webhook = subscribed(world, id)?;
    let kind = body.get("event_type").and_then(Value::as_str).filter(|kind| !kind.is_empty());
    let kind = kind.ok_or_else(|| Reply::kapso(422, "Event type can't be blank"))?;
    if !webhook.is_subscribed(kind) {
        return Err(Reply::kapso(422, &format!("Event type is not subscribed by this webhook: {kind:?}")));
    }
    Ok(Intent::Test { webhook: id.to_owned(), kind: kind.to_owned() })
}

/// Queues it: an invented message that no listing has. What Kapso's test events hold is not documented.
pub(super) fn send_test(world: &Arc<World>, id: &str, kind: &str) -> Reply {
    let line = &world.config.line;
    let now = clock::now();
    let body = json!({
        "message": {
            "id": format!("wamid.TEST{}", ids::uuid()), "timestamp": clock::unix(now), "type": "text",
            "from": "15550000000", "text": { "body": "This is a test event" },
            "kapso": { "direction": "inbound", "status": "received", "origin": "cloud_api" },
        },
        "conversation": { "id": ids::uuid(), "phone_number": "15550000000", "status": "active",
                          "phone_number_id": line.phone_number_id },
        "is_new_conversation": true,
        "phone_number_id": line.phone_number_id,
        "test": true,
    });
    let webhook = Webhook {
        dialect: Dialect::V2,
        kind: kind.to_owned(),
        body: body.to_string().into(),
        batch_size: None,
    };
    let mut parcel = Parcel::raw(webhook);
    if let Some(other) = world.others().iter().find(|other| other.id == id) {
        parcel.by = other.url.clone().map(|url| (other.id.clone(), url));
        parcel.secret = other.secret.clone();
    }
    delivery::dispatch(world, parcel);
    Reply::json(200, json!({ "data": { "success": true } }))
}

pub(super) fn deliveries(world: &World, query: &HashMap<String, String>) -> Result<Reply, Reply> {
    let log = world.log();
    let first = world.subscription().id.clone();
    let failed = query.get("errors_only").is_some_and(|only| only == "true");
    let wanted = |delivery: &Delivery| {
        let by = delivery.webhook_id.as_ref().unwrap_or(&first);
        delivery.state != DeliveryState::Skipped
            && query.get("webhook_id").is_none_or(|id| id == by)
            && query.get("status").is_none_or(|status| status == state(delivery))
            && query.get("event").is_none_or(|event| *event == delivery.kind)
            && (!failed || delivery.state == DeliveryState::Failed)
    };
    let newest_first = log.deliveries().iter().enumerate().rev().filter(|(_, delivery)| wanted(delivery));
    list::cursors(newest_first, query, |delivery| show_delivery(world, &first, delivery))
}

fn read(body: &Value) -> Result<Change, Reply> {
    let webhook = body.get("whatsapp_webhook").filter(|webhook| webhook.is_object());
    let webhook = webhook
        .ok_or_else(|| Reply::kapso(400, "param is missing or the value is empty: whatsapp_webhook"))?;
    Change::read(webhook).map_err(|why| Reply::kapso(422, &why))
}

/// The webhook of this id.
fn subscribed(world: &World, id: &str) -> Result<Subscription, Reply> {
    let first = world.subscription().clone();
    let found =
        if first.is(id) { Some(first) } else { world.others().iter().find(|other| other.id == id).cloned() };
    found.ok_or_else(|| Reply::kapso(404, "Webhook not found"))
}

/// The webhook of this id, as it is shown.
fn known(world: &World, id: &str) -> Result<Value, Reply> {
    let found = all(world).into_iter().find(|webhook| webhook["id"] == id);
    found.ok_or_else(|| Reply::kapso(404, "Webhook not found"))
}

/// Every webhook, as it is shown.
fn all(world: &World) -> Vec<Value> {
    let active = !world.breaker().is_open();
    let line = &world.config.line;
    let first = world.subscription().clone();
    let first = first.url.is_some().then(|| first.show(line, active));
    let others = world.others().iter().map(|other| other.show(line, other.active)).collect::<Vec<_>>();
    first.into_iter().chain(others).collect()
}

fn state(delivery: &Delivery) -> &'static str {
    match delivery.state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed | DeliveryState::Skipped => "failed",
    }
}

fn show_delivery(world: &World, first: &str, delivery: &Delivery) -> Value {
    let last = delivery.attempts.last();
    let at = |state| last.filter(|_| delivery.state == state).map(|attempt| &attempt.at);
    json!({
        "id": delivery.idempotency_key,
        "event": delivery.kind,
        "attempt_count": delivery.attempts.len(),
        "created_at": delivery.attempts.first().map(|attempt| &attempt.at),
        "response_status": last.and_then(|attempt| attempt.status),
        "delivered_at": at(DeliveryState::Delivered),
        "failed_at": at(DeliveryState::Failed),
        "last_attempt_at": last.map(|attempt| &attempt.at),
        "webhook_id": delivery.webhook_id.as_deref().unwrap_or(first),
        "webhook_url": world.webhook_url(),
        "whatsapp_config_id": world.config.line.config_id,
        "phone_number_id": world.config.line.phone_number_id,
    })
}
