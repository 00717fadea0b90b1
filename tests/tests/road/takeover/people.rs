//! Somebody writes: in the phone's app, or in Kapso's inbox.

use std::fs;

use anyhow::{Result, ensure};
use harness::{process::Signal, wait};
use kapso_sim::{Dialect, Fault, Outcome, PersonsMessage, Reply, SimConfig};
use time::{Duration, OffsetDateTime};

use super::{ROADS, road_in};
use crate::scene::{PATIENCE, Road, kapso, number};

const ON_THE_PHONE: &str = "somebody wrote in the phone's app";
const NOT_OURS: &str = "a message went out that is none of ours";

#[tokio::test]
async fn whom_somebody_answers_on_the_phone_nobody_else_does() -> Result<()> {
    // The guide's dialect does not say where a message was written.
    for (dialect, api) in ROADS.into_iter().skip(1) {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        road.is_answered(&road.asks(1)).await?;
        road.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Le habla Marta"));
        road.nothing_lost().await?;
        let (paused, other) = (road.asks(1), road.asks(2));
        let outcome = road.reply_becomes(&paused, "discarded").await?.outcome.unwrap_or_default();
        ensure!(outcome.ends_with(ON_THE_PHONE), "{dialect}: {outcome}");
        road.is_answered(&other).await?;
        ensure!(road.sends_to(&paused) == 1, "{dialect}: the answer before, and no other");
        // Marks go on where the API can be told.
        let marks = "SELECT count(*) FROM effects WHERE kind = 'mark_read' AND outcome LIKE 'a person%'";
        ensure!(road.count(marks).await? == 0, "{dialect}");
        // An hour after the last word of theirs it is over.
        road.minutes_pass(61).await?;
        road.is_answered(&road.asks(1)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn whom_somebody_answers_in_the_inbox_nobody_else_does_after_a_minute() -> Result<()> {
    for (dialect, api) in ROADS {
        let road = road_in(dialect, api).await?;
        let _programs = road.open().await?;
        let at = Some(OffsetDateTime::now_utc() - Duration::seconds(70));
        let aged = PersonsMessage { at, ..PersonsMessage::in_the_inbox(number(1), "Le habla Marta") };
        let first = road.asks(1);
        road.is_answered(&first).await?;
        road.sim.person_writes(PersonsMessage::in_the_inbox(number(1), "Le habla Marta"));
        road.sim.person_writes(PersonsMessage { to: number(2), ..aged });
        road.nothing_lost().await?;
        // It could still be a reply of ours whose answer is not there yet.
        ensure!(road.takeovers().await?.is_empty(), "{dialect}: {:?}", road.takeovers().await?);
        road.is_answered(&road.asks(1)).await?;
        let outcome = road.reply_becomes(&road.asks(2), "discarded").await?.outcome.unwrap_or_default();
        ensure!(outcome.ends_with(NOT_OURS), "{dialect}: {outcome}");
        ensure!(road.sends_to(&first) == 2, "{dialect}");
        if dialect == Dialect::Guide || dialect == Dialect::Meta {
            // A message that says nothing is taken for a reply of about that time.
            continue;
        }
        road.minutes_pass(2).await?;
        let outcome = road.reply_becomes(&road.asks(1), "discarded").await?.outcome.unwrap_or_default();
        ensure!(outcome.ends_with(NOT_OURS), "{dialect}: {outcome}");
        ensure!(road.sends_to(&first) == 2, "{dialect}");
    }
    Ok(())
}

/// It was owed before anybody took over, and waits for its second attempt when somebody does.
#[tokio::test]
async fn a_reply_that_waits_is_discarded() -> Result<()> {
    let road = Road::beside(SimConfig { dialect: Dialect::V1, ..kapso() }).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_send(Outcome::Answer(Reply::rate_limited(4))));
    let ids = road.asks(1);
    wait::until("the first attempt", PATIENCE, async || {
        let effect = road.reply_to(&ids).await?;
        ensure!(effect.outcome.is_some(), "{effect:?}");
        Ok(true)
    })
    .await?;
    road.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Le habla Marta"));
    road.is_left_to_a_person(&ids, ON_THE_PHONE).await
}

/// What is written on the phone reaches us by a listing alone.
#[tokio::test]
async fn a_listing_tells_it_too() -> Result<()> {
    let mut road = Road::beside(SimConfig { dialect: Dialect::V2, ..kapso() }).await?;
    road.stage.set("KAPSO_API_BASE_URL", road.sim.meta_proxy_url());
    let _programs = road.open().await?;
    let at = Some(OffsetDateTime::now_utc() - Duration::minutes(10));
    let lost = PersonsMessage { lost: true, at, ..PersonsMessage::on_the_phone(number(1), "Le habla Marta") };
    road.sim.person_writes(lost);
    let filled = road.stage.finish("worker", &["backfill", "--since", "1h"]).await?;
    ensure!(filled.code == Some(0), "{}", filled.log);
    road.is_left_to_a_person(&road.asks(1), ON_THE_PHONE).await
}

#[tokio::test]
async fn how_long_it_lasts_is_in_the_book() -> Result<()> {
    let mut road = Road::beside(SimConfig { dialect: Dialect::V1, ..kapso() }).await?;
    let rule = "[[rule]]\nname = \"a\"\nkeywords = [\"ayuda\"]\nreply = \"Hola\"\n";
    let file = road.stage.dir().join("rules.toml");
    let book = |pause: &str| fs::write(&file, format!("[takeover]\npause = \"{pause}\"\n{rule}"));
    book("5m")?;
    road.stage.set("BUZON_CONFIG", file.to_string_lossy());
    let [_ingest, mut worker] = road.open().await?;
    let at = Some(OffsetDateTime::now_utc() - Duration::minutes(3));
    road.sim
        .person_writes(PersonsMessage { at, ..PersonsMessage::on_the_phone(number(1), "Le habla Marta") });
    road.nothing_lost().await?;
    road.is_left_to_a_person(&road.asks(1), ON_THE_PHONE).await?;

    for (pause, state) in [("2m", "done"), ("5m", "discarded"), ("0s", "done")] {
        let times = worker.log().matches("rules read again").count();
        book(pause)?;
        worker.process().signal(Signal::HangUp)?;
        wait::until("the book to be read", PATIENCE, async || {
            anyhow::Ok(worker.log().matches("rules read again").count() > times)
        })
        .await?;
        road.reply_becomes(&road.asks(1), state).await?;
    }
    book("soon")?;
    worker.process().signal(Signal::HangUp)?;
    wait::until("the mistake to be told", PATIENCE, async || {
        let log = worker.log();
        ensure!(log.contains("rules.toml, line 2: takeover.pause is no duration"), "{log}");
        Ok(true)
    })
    .await
}
