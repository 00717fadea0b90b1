//! The platform API's numbers: what each is like, and how well it is.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{list, proxy};
use crate::{account::NumberState, clock, reply::Reply, world::World};

pub(super) fn numbers(world: &World, query: &HashMap<String, String>) -> Result<Reply, Reply> {
    list::page(vec![show(world)], query)
}

pub(super) fn number(world: &World, id: &str) -> Result<Reply, Reply> {
    proxy::known_number(world, id)?;
    Ok(Reply::json(200, json!({ "data": show(world) })))
}

fn show(world: &World) -> Value {
    let line = &world.config.line;
    let state = world.account().number.clone();
    json!({
        "id": line.phone_number_id,
        "phone_number_id": line.phone_number_id,
        "name": line.name,
        "display_name": line.name,
        "verified_name": line.name,
        "display_phone_number": format!("+{}", line.number),
        "display_phone_number_normalized": line.number,
        "business_account_id": line.business_account_id,
        "inbound_processing_enabled": state.inbound_processing_enabled,
        "is_coexistence": state.is_coexistence,
        "calls_enabled": state.calls_enabled,
        "status": state.status,
        "quality_rating": state.quality_rating,
        "throughput_tier": state.throughput_tier,
        "whatsapp_business_manager_messaging_limit": state.messaging_limit,
    })
}

pub(super) fn health(world: &World, number: &str) -> Result<Reply, Reply> {
    proxy::known_number(world, number)?;
    let state = world.account().number.clone();
    let body = json!({
        "status": state.summary(),
        "timestamp": clock::iso(clock::now()),
        "checks": checks(world, &state),
    });
    Ok(Reply::json(200, body))
}

fn checks(world: &World, state: &NumberState) -> Value {
    let line = &world.config.line;
    let can_send = state.messaging_health;
    json!({
        "phone_number_access": { "passed": true, "details": {
            "id": line.phone_number_id,
            "verified_name": line.name,
            "display_phone_number": format!("+{}", line.number),
            "status": state.status,
            "quality_rating": state.quality_rating,
            "throughput_tier": state.throughput_tier,
        }},
        "phone_number_connection": {
            "passed": state.connection_passed,
            "details": { "status": state.status, "is_coexistence": state.is_coexistence },
        },
        "messaging_health": {
            "passed": state.messaging_passed,
            "overall_status": can_send,
            "details": { "can_send_message": can_send, "entities": [
                { "entity_type": "PHONE_NUMBER", "id": line.phone_number_id, "can_send_message": can_send },
            ]},
        },
        "webhook_subscription": { "passed": true, "details": { "subscribed": true } },
        "webhook_verified": { "passed": true },
    })
}
