//! RabbitMQ: can it be reached, are our queues and exchanges as they have to be, are they consumed,
//! and what waits in them.

use contract::{
    broker::Broker,
    topology::{DEAD_LETTERS, EVENTS_QUEUE, Found, Inspected, UNROUTED, Waiting},
};

use super::{check::Scope, guide, report::Finding};

/// More than this waiting is worth a look: what one worker may hold unsettled.
const BACKLOG: u32 = 1_000;

/// Looks, and changes nothing there.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    const REMEDY: &str =
        "is RabbitMQ up, and AMQP_URL right (user, password, vhost)? Until then ingest spools";
    let broker = match Broker::from_settings(&scope.settings, "buzon-doctor") {
        Ok(broker) => broker,
        Err(error) => {
            return vec![Finding::wrong(
                "reached",
                format!("{} {}", error.variable, error.problem),
                error.remedy,
            )];
        }
    };
    let (host, port) = broker.authority();
    match broker.inspect().await {
        Ok(inspected) => {
            let reached = Finding::fine("reached", format!("RabbitMQ answers at {host}:{port}"));
            [reached].into_iter().chain(judged(inspected)).collect()
        }
        Err(error) => vec![Finding::wrong(
            "reached",
            format!("RabbitMQ at {host}:{port} can't be used: {error}"),
            REMEDY,
        )],
    }
}

fn judged(inspected: Vec<Inspected>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut waiting = Vec::new();
    for Inspected { name, what, found } in inspected {
        match found {
            Found::Exchange => {}
            Found::Queue(here) => waiting.push((name, here)),
            Found::Missing => findings.push(Finding::wrong(
                "topology",
                format!("there is no {what} `{name}`"),
                "start ingest or a worker: both declare what is missing",
            )),
            Found::Differs(mismatch) => {
                // Its own words end with the commands that mend it.
                let text = mismatch.to_string();
                let (says, remedy) = text.split_once("). ").unwrap_or((&text, "delete it"));
                findings.push(Finding::wrong("topology", format!("{says})"), remedy));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::fine(
            "topology",
            "queues and exchanges are as they have to be, dead letters and what nobody takes included",
        ));
    }
    let of = |name| waiting.iter().find(|(known, _)| *known == name).map(|(_, here)| *here);
    findings.extend(of(EVENTS_QUEUE).map(consumed));
    findings.extend(of(EVENTS_QUEUE).map(backlog));
    findings.extend([DEAD_LETTERS, UNROUTED].into_iter().filter_map(|name| aside(name, of(name)?)));
    findings
}

fn consumed(Waiting { consumers, .. }: Waiting) -> Finding {
    match consumers {
        0 => Finding::wrong(
            "consumers",
            format!(
                "nobody consumes `{EVENTS_QUEUE}`: webhooks are taken, and nothing is stored or answered"
            ),
            "start a worker; one that runs says in its log why it does not consume (is it waiting for Postgres?)",
        ),
        1 => Finding::fine("consumers", "1 worker consumes"),
        many => Finding::fine("consumers", format!("{many} workers consume")),
    }
}

fn backlog(Waiting { messages, .. }: Waiting) -> Finding {
    if messages > BACKLOG {
        return Finding::remark(
            "backlog",
            format!("{messages} webhooks wait in `{EVENTS_QUEUE}`"),
            "do workers keep up, or wait for Postgres? More of them may be started",
        )
        .named(guide::NOTHING);
    }
    Finding::fine("backlog", format!("{messages} webhooks wait in `{EVENTS_QUEUE}`"))
}

/// What goes into these two, workers take out at once.
fn aside(name: &str, Waiting { messages, consumers }: Waiting) -> Option<Finding> {
    (messages > 0).then(|| {
        let says = format!("{messages} webhooks wait in `{name}`, and {consumers} consumers take them");
        Finding::remark("backlog", says, "a worker archives them; start one")
    })
}
