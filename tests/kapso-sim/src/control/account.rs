//! The account and its number, as the control interface sets and shows them.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{bad, read};
use crate::{
    account::{Account, MessageStatus, NumberState},
    world::World,
};

/// What is to change about the account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChoice {
    credits: Option<bool>,
    message_status: Option<MessageStatus>,
}

impl AccountChoice {
    fn apply(self, account: &mut Account) {
        account.credits = self.credits.unwrap_or(account.credits);
        account.message_status = self.message_status.unwrap_or(account.message_status);
    }
}

pub(super) async fn account(world: Data<World>) -> HttpResponse {
    let account = world.account().clone();
    HttpResponse::Ok().json(json!({ "credits": account.credits, "message_status": account.message_status }))
}

pub(super) async fn set_account(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<AccountChoice>(&body) {
        Ok(choice) => {
            choice.apply(&mut world.account());
            account(world).await
        }
        Err(why) => bad(&why),
    }
}

pub(super) async fn number(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(&world.account().number)
}

/// Changes the fields that the body names; `null` is a value ("unknown"), not an absent field.
pub(super) async fn set_number(world: Data<World>, body: Bytes) -> HttpResponse {
    match read::<Map<String, Value>>(&body).and_then(|change| changed(&world.account().number, change)) {
        Ok(state) => {
            world.account().number = state;
            number(world).await
        }
        Err(why) => bad(&why),
    }
}

fn changed(number: &NumberState, change: Map<String, Value>) -> Result<NumberState, String> {
    let says_passed = change.contains_key("messaging_passed");
    let says_health = change.contains_key("messaging_health");
    let mut fields: Map<String, Value> =
        serde_json::to_value(number).and_then(serde_json::from_value).map_err(|error| error.to_string())?;
    fields.extend(change);
    let state: NumberState =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    let health = state.messaging_health;
    Ok(if says_health && !says_passed { state.messaging(health) } else { state })
}
