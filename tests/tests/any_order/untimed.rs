//! Events without a time of their own use the time of their arrival, and lose to those that have one: early or late,
//! before or after.

use anyhow::{Context, Result, ensure};
use contract::envelope::Envelope;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::Duration;

use crate::state::{Effects, State};
use crate::story::{self, Gathers, Told};
use crate::{database, ways};

/// When the events that have a time say that they happened.
const OWN: &str = "2026-02-18T13:31:07Z";

#[tokio::test]
async fn a_time_of_its_own_beats_one_of_arrival() -> Result<()> {
    let pool = database::make().await?;
    let timed: Vec<Told> = events("active", "Ana").map(|told| at(told, OWN)).collect();
    let untimed: Vec<Told> = events("ended", "Nadie").collect();
    let now = story::began();
    // Long before the events that have a time, by that; and long after.
    for arrival in [now - Duration::days(20_000), now] {
        let timed: Vec<Envelope> = timed.iter().map(|told| told.envelope(now)).collect();
        let untimed: Vec<Envelope> = untimed.iter().map(|told| told.envelope(arrival)).collect();
        let first = state(&pool, [&timed, &untimed]).await?;
        let last = state(&pool, [&untimed, &timed]).await?;
        ensure!(first.same(&last), "{}", first.difference(&last));
        let told = json!({
            "name": value(&first, "contacts", "name")?,
            "status": value(&first, "conversations", "status")?,
            "occurred_at": value(&first, "messages", "occurred_at")?,
            "delivered_at": value(&first, "messages", "delivered_at")?,
        });
        let own = "2026-02-18T13:31:07+00:00";
        let expected = json!({ "name": "Ana", "status": "active", "occurred_at": own, "delivered_at": own });
        ensure!(told == expected, "{told}");
    }
    pool.close().await;
    Ok(())
}

/// What a guide's webhooks say about one message, its conversation and its contact.
fn events(status: &str, name: &str) -> impl Iterator<Item = Told> {
    let contact = json!({ "id": "c1", "phone_number": "+56911110001", "display_name": name });
    [
        ("message.received", json!({ "from": "+56911110001", "content": "hola", "message_type": "text" })),
        ("message.delivered", json!({ "status": "delivered" })),
        ("contact.updated", json!({ "contact": contact })),
        ("conversation.status_changed", json!({ "status": status })),
    ]
    .into_iter()
    .map(|(kind, payload)| Told {
        dialect: kapso_sim::Dialect::Guide,
        kind: kind.to_owned(),
        headers: Vec::new(),
        body: json!({ "event_type": kind, "conversation_id": "conv", "message_id": "m", "payload": payload }),
        gathers: Gathers::Nothing,
    })
}

fn at(mut told: Told, time: &str) -> Told {
    told.body["timestamp"] = json!(time);
    told
}

async fn state(pool: &PgPool, windows: [&Vec<Envelope>; 2]) -> Result<State> {
    database::empty(pool, false).await?;
    ways::one_by_one(pool, &windows.map(Clone::clone)).await?;
    State::of(pool, Effects::Owed).await
}

fn value(state: &State, table: &str, column: &str) -> Result<Value> {
    let rows = state.rows(table);
    let row = rows.first().with_context(|| format!("no row in {table}"))?;
    Ok(row.get(column).cloned().unwrap_or_default())
}
