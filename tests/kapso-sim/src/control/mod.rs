//! The control interface under `/sim/`: JSON in, JSON out, lists as `{"data": […]}`, errors as `{"error": "…"}`.

mod account;
mod fault;
mod happen;

use std::{collections::HashMap, time::Duration};

use actix_web::{
    HttpResponse,
    web::{self, Bytes, Data, Path, Query, ServiceConfig},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use self::fault::{FaultSpec, Planned};
use crate::{act, delivery::DeliveryState, dialect::Dialect, fault::Action, world::World};

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/livez", web::get().to(livez))
        .route("/inbound", web::post().to(happen::inbound))
        .route("/outbound", web::post().to(happen::outbound))
        .route("/event", web::post().to(happen::event))
        .route("/webhook", web::post().to(happen::webhook))
        .route("/calls", web::get().to(calls))
        .route("/calls", web::delete().to(forget_calls))
        .route("/replies", web::get().to(replies))
        .route("/marks", web::get().to(marks))
        .route("/deliveries", web::get().to(deliveries))
        .route("/deliveries", web::delete().to(forget_deliveries))
        .route("/deliveries/{number}/repeat", web::post().to(repeat))
        .route("/faults", web::get().to(faults))
        .route("/faults", web::post().to(plan_fault))
        .route("/faults", web::delete().to(forget_faults))
        .route("/account", web::get().to(account::account))
        .route("/account", web::post().to(account::set_account))
        .route("/number", web::get().to(account::number))
        .route("/number", web::post().to(account::set_number))
        .route("/listings", web::get().to(listings))
        .route("/listings", web::post().to(set_listings))
        .route("/dialect", web::get().to(dialect))
        .route("/dialect", web::post().to(set_dialect))
        .route("/target", web::get().to(target))
        .route("/target", web::post().to(set_target))
        .default_service(web::to(unknown));
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn unknown() -> HttpResponse {
    not_found("no such control endpoint")
}

/// Which calls to list.
#[derive(Deserialize)]
struct CallFilter {
    action: Option<Action>,
    accepted: Option<bool>,
}

async fn calls(world: Data<World>, filter: Query<CallFilter>) -> HttpResponse {
    let calls = world.calls();
    let wanted = calls.calls.iter().filter(|call| {
        filter.action.is_none_or(|action| action == call.action)
            && filter.accepted.is_none_or(|accepted| accepted == call.accepted)
    });
    list(wanted)
}

async fn forget_calls(world: Data<World>) -> HttpResponse {
    world.calls().clear();
    HttpResponse::NoContent().finish()
}

async fn replies(world: Data<World>) -> HttpResponse {
    list(&world.calls().sends)
}

async fn marks(world: Data<World>) -> HttpResponse {
    list(&world.calls().marks)
}

/// Which deliveries to list.
#[derive(Deserialize)]
struct DeliveryFilter {
    kind: Option<String>,
    state: Option<String>,
    message_id: Option<String>,
}

async fn deliveries(world: Data<World>, filter: Query<DeliveryFilter>) -> HttpResponse {
    let state = match filter.state.as_deref() {
        None => None,
        Some("pending") => Some(DeliveryState::Pending),
        Some("delivered") => Some(DeliveryState::Delivered),
        Some("failed") => Some(DeliveryState::Failed),
        Some("skipped") => Some(DeliveryState::Skipped),
        Some(_) => return bad("state is one of pending, delivered, failed, skipped"),
    };
    let log = world.log();
    let wanted = log.deliveries().iter().filter(|delivery| {
        filter.kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
            && state.is_none_or(|state| state == delivery.state)
            && filter.message_id.as_ref().is_none_or(|id| delivery.message_ids.contains(id))
    });
    list(wanted)
}

async fn forget_deliveries(world: Data<World>) -> HttpResponse {
    world.log().clear();
    HttpResponse::NoContent().finish()
}

async fn repeat(world: Data<World>, number: Path<u64>) -> HttpResponse {
    match act::repeat(&world.into_inner(), *number) {
        Some(delivery) => HttpResponse::Accepted().json(json!({ "delivery": delivery })),
        None => not_found("no such delivery"),
    }
}

async fn faults(world: Data<World>) -> HttpResponse {
    list(world.plan().pending().iter().map(Planned::from))
}

async fn plan_fault(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<FaultSpec>(&body).and_then(FaultSpec::fault) {
        Ok(fault) => {
            world.plan().add(fault);
            faults(world).await
        }
        Err(why) => bad(&why),
    }
}

async fn forget_faults(world: Data<World>) -> HttpResponse {
    world.plan().clear();
    HttpResponse::NoContent().finish()
}

/// How late listings show what was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListingsChoice {
    late_ms: u32,
}

async fn listings(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "late_ms": world.list_late().as_millis() }))
}

async fn set_listings(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<ListingsChoice>(&body) {
        Ok(choice) => {
            world.set_list_late(Duration::from_millis(choice.late_ms.into()));
            listings(world).await
        }
        Err(why) => bad(&why),
    }
}

/// The dialect in force.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectChoice {
    dialect: Dialect,
}

async fn dialect(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "dialect": world.dialect() }))
}

async fn set_dialect(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<DialectChoice>(&body) {
        Ok(choice) => {
            world.set_dialect(choice.dialect);
            dialect(world).await
        }
        Err(why) => bad(&why),
    }
}

/// Where webhooks go, and whether they do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetChoice {
    webhook_url: Option<String>,
    paused: Option<bool>,
}

async fn target(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({ "webhook_url": world.webhook_url(), "paused": world.breaker().is_open() }))
}

async fn set_target(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<TargetChoice>(&body) {
        Ok(choice) => {
            if let Some(url) = choice.webhook_url {
                world.set_webhook_url(Some(url).filter(|url| !url.is_empty()));
            }
            if let Some(paused) = choice.paused {
                world.breaker().set(paused);
            }
            target(world).await
        }
        Err(why) => bad(&why),
    }
}

fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> HttpResponse {
    let items: Vec<T> = items.into_iter().collect();
    HttpResponse::Ok().json(HashMap::from([("data", items)]))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn bad(why: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": why }))
}

fn not_found(what: &str) -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": what }))
}
