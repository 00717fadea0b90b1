//! The platform API: the number's webhook and its deliveries, numbers, and messages in Kapso v2's shape.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{intent::Intent, list};
use crate::{
    delivery::{Delivery, DeliveryState},
    dialect,
    reply::Reply,
    subscription::Change,
    world::World,
};

/// What a call does to the number's webhook.
#[derive(Debug)]
pub(super) enum WebhookChange {
    /// Registers one.
    Create(Change),
    /// Changes it.
    Update(Change),
    /// Removes it.
    Delete,
}

pub(super) fn webhooks(world: &World, query: &HashMap<String, String>) -> Result<Reply, Reply> {
    let url = world.webhook_url();
    let active = !world.breaker().is_open();
    let wanted =
        url.as_ref().is_some_and(|url| query.get("url_contains").is_none_or(|part| url.contains(part)))
            && query.get("active").is_none_or(|wanted| *wanted == active.to_string());
    list::page(wanted.then(|| show(world)).into_iter().collect(), query)
}

pub(super) fn webhook(world: &World, id: &str) -> Result<Reply, Reply> {
    known(world, id)?;
    Ok(Reply::json(200, json!({ "data": show(world) })))
}

pub(super) fn create(body: &Value) -> Result<Intent, Reply> {
    let change = read(body)?;
    if !change.has_url() {
        return Err(Reply::kapso(422, "Url is invalid"));
    }
    Ok(Intent::Webhook(WebhookChange::Create(change)))
}

pub(super) fn update(world: &World, id: &str, body: &Value) -> Result<Intent, Reply> {
    known(world, id)?;
    Ok(Intent::Webhook(WebhookChange::Update(read(body)?)))
}

pub(super) fn delete(world: &World, id: &str) -> Result<Intent, Reply> {
    known(world, id)?;
    Ok(Intent::Webhook(WebhookChange::Delete))
}

/// Lets a change have its effect.
pub(super) fn apply(world: &World, change: WebhookChange) -> Reply {
    let (status, change) = match change {
        WebhookChange::Delete => {
            world.set_webhook_url(None);
            return Reply::json(200, json!({ "data": null }));
        }
        WebhookChange::Create(mut change) => {
            change.active.get_or_insert(true);
            let active = change.active;
            world.subscription().register(change);
            (201, active)
        }
        WebhookChange::Update(change) => {
            let active = change.active;
            world.subscription().change(change);
            (200, active)
        }
    };
    if let Some(active) = change {
        world.breaker().set(!active);
    }
    let mut data = show(world);
    // The secret is shown once, when it is made.
    if let (201, Value::Object(data)) = (status, &mut data) {
        data.insert("secret_key".to_owned(), json!(world.secrets().webhook));
    }
    Reply::json(status, json!({ "data": data }))
}

pub(super) fn deliveries(world: &World, query: &HashMap<String, String>) -> Result<Reply, Reply> {
    let log = world.log();
    let id = show(world)["id"].clone();
    let failed = query.get("errors_only").is_some_and(|only| only == "true");
    let wanted = |delivery: &Delivery| {
        delivery.state != DeliveryState::Skipped
            && query.get("status").is_none_or(|status| status == state(delivery))
            && query.get("event").is_none_or(|event| *event == delivery.kind)
            && (!failed || delivery.state == DeliveryState::Failed)
    };
    let newest_first = log.deliveries().iter().enumerate().rev().filter(|(_, delivery)| wanted(delivery));
    list::cursors(newest_first.map(|(at, delivery)| (at, show_delivery(world, &id, delivery))), query)
}

pub(super) fn message(world: &World, wamid: &str) -> Result<Reply, Reply> {
    let store = world.store();
    let message = store.message(wamid).ok_or_else(|| Reply::kapso(404, "Message not found"))?;
    Ok(Reply::json(200, json!({ "data": dialect::v2_message(message, &message.statuses) })))
}

pub(super) fn numbers(world: &World, query: &HashMap<String, String>) -> Result<Reply, Reply> {
    let line = &world.config.line;
    let number = json!({
        "id": line.phone_number_id,
        "phone_number_id": line.phone_number_id,
        "name": line.name,
        "display_phone_number": format!("+{}", line.number),
        "business_account_id": line.business_account_id,
    });
    list::page(vec![number], query)
}

fn read(body: &Value) -> Result<Change, Reply> {
    let webhook = body.get("whatsapp_webhook").filter(|webhook| webhook.is_object());
    let webhook = webhook
        .ok_or_else(|| Reply::kapso(400, "param is missing or the value is empty: whatsapp_webhook"))?;
    Change::read(webhook).map_err(|why| Reply::kapso(422, &why))
}

fn known(world: &World, id: &str) -> Result<(), Reply> {
    if world.subscription().is(id) { Ok(()) } else { Err(Reply::kapso(404, "Webhook not found")) }
}

fn show(world: &World) -> Value {
    let active = !world.breaker().is_open();
    world.subscription().show(&world.config.line, active)
}

fn state(delivery: &Delivery) -> &'static str {
    match delivery.state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed | DeliveryState::Skipped => "failed",
    }
}

fn show_delivery(world: &World, webhook: &Value, delivery: &Delivery) -> Value {
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
        "webhook_id": webhook,
        "webhook_url": world.webhook_url(),
        "whatsapp_config_id": world.config.line.config_id,
        "phone_number_id": world.config.line.phone_number_id,
    })
}
