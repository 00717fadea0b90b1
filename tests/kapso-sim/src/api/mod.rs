//! Kapso's API in both its styles: one pipeline that every call goes through.
//!
//! Key, then rate limit, then validation, then the planned fault, then the effect, then the record, then the answer.

mod intent;
mod list;
mod number;
mod platform;
mod proxy;
mod route;
mod send;
mod shape;
mod v1;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) use self::send::change_status;
use self::{intent::Intent, route::Route, send::Fate};
use crate::{
    call::Call,
    clock,
    fault::{Action, Outcome},
    reply::Reply,
    world::World,
};

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query_string: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) api_key: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body as JSON; a string where it is none.
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

/// How a call ends: after a wait, with an answer or with a cut connection.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) wait: Duration,
    /// None: the connection is cut.
    pub(crate) reply: Option<Reply>,
}

/// Takes a call: its effect and its record are there when this returns.
pub(crate) fn serve(world: &Arc<World>, request: &Request) -> Ending {
    let body = request.json();
    let number = world.calls().next_number();
    let route = Route::of(request);
    let mut action = route.as_ref().map_or(Action::Other, |route| route.action(&body));
    let mut limits = Vec::new();

    let understood = admit(world, request, &mut limits).and_then(|()| {
        let route = route.ok_or_else(|| Reply::kapso(404, "Not found"))?;
        Intent::of(world, &route, request, &body)
    });
    let understood = understood.and_then(|intent| paid(world, intent));
    let mut fault = None;
    let (ending, accepted) = match understood {
        Err(refusal) => (Ending { wait: Duration::ZERO, reply: Some(refusal) }, false),
        Ok(intent) => {
            action = intent.action();
            let mut names = intent.names(world);
            if action == Action::List {
                // What a listing is of stands in its path, and in its query.
                names.extend(
                    request
                        .path
                        .split('/')
                        .chain(request.query.values().map(String::as_str))
                        .map(str::to_owned),
                );
            }
            let struck = world.plan().strike(action, &names, &mut world.rng());
            fault = struck.as_ref().map(Outcome::name);
            carry_out(world, number, intent, struck)
        }
    };

    let ending = Ending { reply: ending.reply.map(|reply| with_headers(reply, limits)), ..ending };
    record(world, number, request, body, action, fault, &ending, accepted);
    ending
}

/// Checks the key and the rate limit.
fn admit(world: &World, request: &Request, headers: &mut Vec<(&'static str, String)>) -> Result<(), Reply> {
    let key = request.api_key.as_deref().filter(|key| !key.is_empty()).ok_or_else(Reply::wrong_token)?;
    let right = world.config.api_key.as_deref().filter(|right| !right.is_empty());
    if right.is_some_and(|right| right != key) {
        return Err(Reply::wrong_token());
    }
    if let Some(limit) = world.config.rate_limit {
        let (carried, refusal) = world.limiter().take(key, limit, Instant::now());
        *headers = carried;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Ok(())
}

/// Refuses sends and marks while the account has no credits, before any planned fault.
fn paid(world: &World, intent: Intent) -> Result<Intent, Reply> {
    let costs = matches!(intent.action(), Action::Send | Action::Mark);
    if costs && !world.account().credits { Err(Reply::insufficient_credits()) } else { Ok(intent) }
}

/// Lets an intent have its effect, unless the fault that it ran into forbids it.
fn carry_out(world: &Arc<World>, number: u64, intent: Intent, fault: Option<Outcome>) -> (Ending, bool) {
    let at_once = |reply| Ending { wait: Duration::ZERO, reply };
    match fault {
        Some(Outcome::Answer(reply)) => (at_once(Some(reply)), false),
        Some(Outcome::Cut) => (at_once(None), false),
        Some(Outcome::Hang(wait)) => (Ending { wait, reply: None }, false),
        fault => {
            let fate = Fate {
                fails: fault.as_ref().and_then(Outcome::last_status).map(|(_, error)| error.clone()),
                held: matches!(fault, Some(Outcome::AcceptHeld)),
            };
            let reply = intent.apply(world, number, fate);
            let ending = match fault {
                Some(Outcome::Delay(wait)) => Ending { wait, reply: Some(reply) },
                Some(Outcome::AcceptThenAnswer(instead)) => at_once(Some(instead)),
                Some(Outcome::AcceptThenHang(wait)) => Ending { wait, reply: None },
                Some(Outcome::AcceptThenCut) => at_once(None),
                _ => at_once(Some(reply)),
            };
            (ending, true)
        }
    }
}

fn with_headers(mut reply: Reply, headers: Vec<(&'static str, String)>) -> Reply {
    for (name, value) in headers {
        if !reply.headers.iter().any(|(there, _)| *there == name) {
            reply.headers.push((name, value));
        }
    }
    reply
}

#[expect(clippy::too_many_arguments, reason = "a record has as many fields; a struct would only repeat them")]
fn record(
    world: &World,
    number: u64,
    request: &Request,
    body: Value,
    action: Action,
    fault: Option<&'static str>,
    ending: &Ending,
    accepted: bool,
) {
    let now = clock::now();
    let status = ending.reply.as_ref().map(|reply| reply.status);
    tracing::info!(
        http.method = request.method,
        http.path = request.path,
        http.status = status,
        call.number = number,
        call.accepted = accepted,
        call.fault = fault,
        "call"
    );
    world.calls().calls.push(Call {
        number,
        at: clock::iso_micros(now),
        at_ms: clock::millis(now),
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query_string.clone(),
        body,
        api_key: request.api_key.clone(),
        action,
        fault,
        status,
        answer: ending.reply.as_ref().map(|reply| reply.body.clone()),
        accepted,
    });
}
