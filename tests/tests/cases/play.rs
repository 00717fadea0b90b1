//! Plays cases on one running product: people differ from case to case, so that all of them fit.

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::case::{Api, Case};
use crate::dialects::{OUR_NUMBER, Person, Said, V2, told};
use crate::road::Road;
use crate::verdict;

/// Plays only cases whose names contain this.
const ONLY: &str = "BUZON_CASE";

/// The most cases under way at once.
const AT_ONCE: usize = 8;

/// The order in which the webhooks of a case arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    AsItHappened,
    Reversed,
    /// The second before the first, the others after them.
    SecondFirst,
}

/// Plays cases, and fails with everything that is wrong with any of them.
pub(crate) async fn play(api: Api, order: Order, mut cases: Vec<Case>) -> Result<()> {
    let only = std::env::var(ONLY).unwrap_or_default();
    cases.retain(|case| case.name.contains(&only));
    match order {
        Order::AsItHappened => {}
        Order::Reversed => cases.retain(|case| case.any_order && case.webhooks.len() > 1),
        Order::SecondFirst => cases.retain(|case| case.any_order && case.webhooks.len() > 2),
    }
    for case in &mut cases {
        match order {
            Order::AsItHappened => {}
            Order::Reversed => case.webhooks.reverse(),
            Order::SecondFirst => case.webhooks.swap(0, 1),
        }
    }
    let road = Road::open(api).await?;
    let told = stream::iter(&cases).map(|case| tell(&road, case)).buffered(AT_ONCE);
    let told: Vec<Result<()>> = told.collect().await;
    // Whatever would wrongly be sent is older than this, and goes out before it.
    answers(&road).await?;
    let mut wrong = Vec::new();
    for (case, told) in cases.iter().zip(told) {
        let mut faults = verdict::of(&road, case).await?;
        faults.extend(told.err().map(|error| format!("{error:#}")));
        wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", case.name)));
    }
    if order == Order::AsItHappened && wrong.is_empty() {
        // The archive alone says the same: a rebuild empties the projections, and sends nothing.
        road.rebuild().await?;
        for case in &cases {
            let faults = verdict::of(&road, case).await?;
            wrong.extend(faults.into_iter().map(|fault| format!("{}, rebuilt: {fault}", case.name)));
        }
    }
    let to_ourselves = road.sends().iter().filter(|(address, _)| address == OUR_NUMBER).count();
    if to_ourselves > 0 {
        wrong.push(format!("{to_ourselves} messages were sent to our own number"));
    }
    ensure!(wrong.is_empty(), "{api:?}, {order:?}, {} cases:\n{}", cases.len(), wrong.join("\n"));
    Ok(())
}

async fn tell(road: &Road, case: &Case) -> Result<()> {
    for webhook in &case.webhooks {
        road.tell(webhook).await?;
    }
    for message in case.replies() {
        road.settled(message).await?;
    }
    Ok(())
}

/// Sees that somebody else is answered, by a question asked now.
pub(crate) async fn answers(road: &Road) -> Result<()> {
    let somebody = Person::new("somebody-else", 999);
    let asks =
        Said { object: json!({ "body": "¿me da ayuda?" }), ..Said::text(&somebody, 1, "¿me da ayuda?") };
    road.tell(&told(V2, &asks).into()).await?;
    road.settled(&asks.id).await?;
    let answered =
        road.sends().iter().any(|(to, _)| [&somebody.number, &somebody.conversation].contains(&to));
    ensure!(answered, "a question of somebody else was not answered");
    Ok(())
}
