//! What the workers raise: told once by however many of them.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{InboundMessage, MessagingHealth, NumberState};

use crate::receiver::Receiver;
use crate::scene::{A_WHILE, PATIENCE, Road, TOKEN, figure, holds};
use crate::watched::{LETTER, becomes, lines};

#[tokio::test]
async fn of_several_workers_one_tells_and_it_is_told_again_and_over() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.slow_down();
    let road = Road::watched(&receiver).await?;
    let (one, other) = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    road.run(LETTER).await?;
    becomes(&receiver, "dead_letters", &["raised"]).await?;
    let told = receiver.told("dead_letters");
    let text = told[0]["text"].as_str().unwrap_or_default();
    ensure!(text.contains("worker dead-letters list") && !text.contains("planted"), "{told:?}");
    ensure!(told[0]["source"] == "worker" && told[0]["until"].is_null(), "{told:?}");
    for worker in [&one, &other] {
        let name = "buzon_alarm_raised{alarm=\"dead_letters\"}";
        wait::until("the figure", PATIENCE, async || {
            Ok::<_, anyhow::Error>(figure(worker, name).await? > 0.5)
        })
        .await?;
    }
    let logged = lines(&one, "alarm raised") + lines(&other, "alarm raised");
    ensure!(logged == 1, "logged {logged} times");

    // It lasts: told again when that is due, by one again, and logged again after an hour.
    road.hours_later().await?;
    road.run("UPDATE alarms SET logged_at = logged_at - interval '1 hour'").await?;
    becomes(&receiver, "dead_letters", &["raised", "raised"]).await?;
    let logged = lines(&one, "alarm still raised") + lines(&other, "alarm still raised");
    ensure!(logged == 1, "logged {logged} times");
    road.run("UPDATE dead_letters SET resolved_at = now()").await?;
    becomes(&receiver, "dead_letters", &["raised", "raised", "resolved"]).await?;
    road.hours_later().await?;
    holds("nothing more is told", A_WHILE, async || Ok(receiver.states("dead_letters").len() == 3)).await?;

    // Raised anew, it is another one.
    road.run("UPDATE dead_letters SET resolved_at = NULL").await?;
    becomes(&receiver, "dead_letters", &["raised", "raised", "resolved", "raised"]).await?;
    let since = receiver.told("dead_letters");
    ensure!(since[3]["since"] != since[0]["since"] && since[2]["since"] == since[0]["since"], "{since:?}");
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_down_costs_nothing_and_hears_of_it_later() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    receiver.answer(503);
    let [_ingest, worker] = road.open().await?;
    road.run(LETTER).await?;
    let refused = "BUZON_ALERT_URL did not take an alarm";
    wait::until("a failure to tell", PATIENCE, async || lines(&worker, refused) == 1).await?;
    ensure!(!worker.log().contains("a-key-of-the-receiver"), "the address is in the log");
    let addr = receiver.url().parse::<reqwest::Url>()?.socket_addrs(|| None)?[0];
    drop(receiver);
    // Nobody answers at all now.
    road.hours_later().await?;
    wait::until("another", PATIENCE, async || lines(&worker, refused) == 2).await?;
    let asked = road.ask(1..=3);
    road.each_answered_once(&asked).await?;

    let receiver = Receiver::at(addr).await?;
    road.hours_later().await?;
    becomes(&receiver, "dead_letters", &["raised"]).await?;
    ensure!(road.count("SELECT failures::bigint FROM alarms").await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_paused_webhook_is_seen_and_a_resumed_one() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    road.sim.set_paused(true);
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    becomes(&receiver, "webhook_paused", &["raised"]).await?;
    let text = receiver.told("webhook_paused")[0]["text"].clone();
    ensure!(text.as_str().is_some_and(|text| text.contains("worker webhook resume")), "{text}");
    let looks = road.sim.calls().iter().filter(|call| call.path.ends_with("/webhooks")).count();
    ensure!(looks == 1, "Kapso was asked {looks} times");

    road.sim.set_paused(false);
    road.sim.set_webhook_url("http://127.0.0.1:9/elsewhere");
    road.run("UPDATE alarm_looks SET claimed_at = claimed_at - interval '2 hours'").await?;
    becomes(&receiver, "webhook_paused", &["raised", "resolved"]).await?;
    becomes(&receiver, "webhook_wrong", &["raised"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_told_without_the_token() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut road = Road::watched(&receiver).await?;
    road.stage.set("KAPSO_API_TOKEN", "a-wrong-token");
    let [_ingest, mut worker] = road.open().await?;
    let _asked = road.asks(1);
    becomes(&receiver, "token_refused", &["raised"]).await?;
    ensure!(!receiver.told("token_refused")[0].to_string().contains("a-wrong-token"));
    worker.terminate(PATIENCE).await?;
    // What another key was refused for is over.
    road.stage.set("KAPSO_API_TOKEN", TOKEN);
    let _worker = road.stage.worker().await?;
    becomes(&receiver, "token_refused", &["raised", "resolved"]).await
}

#[tokio::test]
async fn exhausted_credits_are_told_until_somebody_pays() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    let [_ingest, worker] = road.open().await?;
    road.sim.set_credits(false);
    let _asked = road.asks(1);
    becomes(&receiver, "credits_exhausted", &["raised"]).await?;
    let text = receiver.told("credits_exhausted")[0]["text"].clone();
    ensure!(text.as_str().is_some_and(|text| text.contains("add credits in Kapso")), "{text}");
    // It is an alarm of its own: the token is fine.
    ensure!(receiver.told("token_refused").is_empty() && lines(&worker, "refuses the token") == 0);
    road.sim.set_credits(true);
    for table in ["UPDATE effects SET next_at = now()", "UPDATE api_keys SET next_probe_at = now()"] {
        road.run(table).await?;
    }
    becomes(&receiver, "credits_exhausted", &["raised", "resolved"]).await
}

#[tokio::test]
async fn a_number_that_lets_nothing_in_or_out_is_told() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    let well = road.sim.number();
    road.sim.set_number(NumberState { inbound_processing_enabled: false, ..well.clone() });
    let _workers = tokio::try_join!(road.stage.worker(), road.stage.worker())?;
    becomes(&receiver, "inbound_off", &["raised"]).await?;
    // An hour's look: the webhooks, the numbers and the health of ours, once each.
    let asked: Vec<_> = road.sim.calls().into_iter().map(|call| call.path).collect();
    ensure!(asked.len() == 3, "{asked:?}");

    road.sim.set_number(well.clone().messaging(MessagingHealth::Blocked));
    road.hours_later().await?;
    becomes(&receiver, "number_blocked", &["raised"]).await?;
    becomes(&receiver, "inbound_off", &["raised", "resolved"]).await?;
    let told = [receiver.told("inbound_off"), receiver.told("number_blocked")].concat();
    ensure!(told.iter().all(|it| !it.to_string().contains(&road.sim.line().phone_number_id)), "{told:?}");

    road.sim.set_number(well);
    road.hours_later().await?;
    wait::until("it to be over", PATIENCE, async || {
        Ok::<_, anyhow::Error>(receiver.states("number_blocked").last().is_some_and(|it| it == "resolved"))
    })
    .await?;
    ensure!(receiver.states("webhook_wrong").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_backlog_is_one_when_the_queue_stays_long() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut road = Road::watched(&receiver).await?;
    for (variable, value) in [("BUZON_ALARM_BACKLOG", "5"), ("BUZON_PREFETCH", "1"), ("BUZON_WINDOW", "1")] {
        road.stage.set(variable, value);
    }
    road.stage.set("BUZON_ALARM_SILENCE", "off");
    let _programs = road.open().await?;
    // Somebody keeps the archive locked: nothing is stored, and the queue grows.
    let mut lock = road.pool.begin().await?;
    sqlx::query("LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await?;
    for contact in 0..10 {
        let _waits = road.sim.inbound(InboundMessage::text(format!("+5695551{contact:04}"), "Hola"));
    }
    becomes(&receiver, "backlog", &["raised"]).await?;
    lock.rollback().await?;
    becomes(&receiver, "backlog", &["raised", "resolved"]).await
}

/// Archived webhooks, one in each minute from the one time to the other, in minutes ago.
async fn archived(road: &Road, from: i32, to: i32) -> Result<()> {
    sqlx::query(
        "WITH times AS (SELECT now() - make_interval(mins => ago) AS at FROM generate_series($2::int, $1::int) AS ago),
              made AS (SELECT ensure_webhooks_partition(at) FROM times)
         SELECT count(*) FROM made",
    )
    .bind(from)
    .bind(to)
    .execute(&road.pool)
    .await?;
    sqlx::query(
        "INSERT INTO webhooks (id, received_at, kind, dialect, headers, verified_by, body, projected_at)
         SELECT sha256(ago::text::bytea), now() - make_interval(mins => ago), 'message.received', 'guide', '{}',
                'secret:0', '', now() FROM generate_series($2::int, $1::int) AS ago",
    )
    .bind(from)
    .bind(to)
    .execute(&road.pool)
    .await?;
    Ok(())
}

const WEEK: i32 = 7 * 24 * 60;

#[tokio::test]
async fn silence_is_one_where_the_weeks_before_were_loud() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    // Two hours ago the last one; a week and two weeks ago one in every minute of the day.
    archived(&road, 130, 120).await?;
    archived(&road, WEEK + 600, WEEK - 60).await?;
    archived(&road, 2 * WEEK + 600, 2 * WEEK - 60).await?;
    let [_ingest, _worker] = road.open().await?;
    becomes(&receiver, "silence", &["raised"]).await?;
    // What `worker doctor` sends has not come from Kapso.
    let test = r#"{"event_type":"test.doctor"}"#;
    ensure!(road.stage.post_signed(test).await?.status() == 200);
    let stored = "SELECT count(*) FROM webhooks WHERE kind = 'test.doctor'";
    wait::until("it to be stored", PATIENCE, async || Ok::<_, anyhow::Error>(road.count(stored).await? == 1))
        .await?;
    becomes(&receiver, "silence", &["raised"]).await?;
    let _heard = road.asks(1);
    becomes(&receiver, "silence", &["raised", "resolved"]).await
}

#[tokio::test]
async fn a_night_is_no_alarm() -> Result<()> {
    let receiver = Receiver::start().await?;
    let road = Road::watched(&receiver).await?;
    // The shop closed two hours ago, as in the weeks before.
    for week in 0..3 {
        archived(&road, week * WEEK + 600, week * WEEK + 120).await?;
    }
    let _worker = road.stage.worker().await?;
    let looked = "SELECT count(*) FROM alarm_looks WHERE look = 'ours'";
    wait::until("a look", PATIENCE, async || Ok::<_, anyhow::Error>(road.count(looked).await? == 1)).await?;
    holds("no alarm", A_WHILE, async || Ok(road.count("SELECT count(*) FROM alarms").await? == 0)).await?;
    // The shop opened again in the weeks before, and not today.
    for week in 1..3 {
        archived(&road, week * WEEK + 119, week * WEEK + 30).await?;
    }
    becomes(&receiver, "silence", &["raised"]).await
}
