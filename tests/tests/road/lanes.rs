//! Lanes beside each other, and the effects within one: in order, none held up by another lane, marks once where one
//! covers the rest, and a lease that nobody confirmed given back.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Action, Dialect, Fault, InboundMessage, Outcome, Reply, SimConfig};

use crate::scene::{PATIENCE, Road, counted, kapso, number};

#[tokio::test]
async fn slow_conversations_hold_up_nobody_else() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    for contact in 0..30 {
        let slow = Outcome::Delay(Duration::from_secs(8));
        road.sim.fault(Fault::next_send(slow).about(number(contact).trim_start_matches('+')));
    }
    let slow = road.ask(0..30);
    wait::until("a slow send of each", PATIENCE, async || road.sim.accepted_sends().len() == 30).await?;
    let prompt = road.ask(100..110);
    for ids in &prompt {
        road.effect_becomes(&ids.message_id, "send_text", "done").await?;
    }
    let calls = road.sim.calls().into_iter().filter(|call| call.action == Action::Send);
    let at: Vec<i64> = calls.map(|call| call.at_ms).collect();
    let (first, last) = (at.iter().min().copied().unwrap_or(0), at.iter().max().copied().unwrap_or(0));
    assert!(last - first < 8_000, "all forty before the first slow one had ended: {at:?}");
    let both: Vec<_> = slow.into_iter().chain(prompt).collect();
    road.each_answered_once(&both).await
}

#[tokio::test]
async fn a_reply_does_not_wait_behind_a_mark_in_flight() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_mark(Outcome::Hang(Duration::from_secs(60))));
    let greeting = road.sim.inbound(InboundMessage::text(number(0), "hola"));
    let in_flight = "SELECT count(*) FROM effects WHERE kind = 'mark_read' AND lease IS NOT NULL";
    wait::until("the mark to hang", PATIENCE, async || Ok(road.count(in_flight).await? == 1)).await?;
    let asked = road.asks(0);
    road.effect_becomes(&asked.message_id, "send_text", "done").await?;
    let mark = road.effect(&greeting.message_id, "mark_read").await?;
    ensure!((mark.state.as_str(), mark.attempts) == ("pending", 1), "the mark ended before: {mark:?}");
    Ok(())
}

#[tokio::test]
async fn a_reply_that_was_put_off_is_not_overtaken_in_its_lane() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    let put_off = Outcome::Answer(Reply::server_error(503).retry_after(4));
    road.sim.fault(Fault::next_send(put_off));
    let first = road.asks(0);
    wait::until("the first to be put off", PATIENCE, async || road.sends_asked(&first) == 1).await?;
    let (second, other) = (road.asks(0), road.asks(1));
    for ids in [&first, &second, &other] {
        road.effect_becomes(&ids.message_id, "send_text", "done").await?;
    }
    let done = "SELECT message_id FROM effects WHERE kind = 'send_text' ORDER BY settled_at";
    assert_eq!(road.texts(done).await?, [other, first, second].map(|ids| ids.message_id));
    Ok(())
}

/// Five messages of one contact, whose marks all wait. What is marked in the end.
async fn marked(kapso: SimConfig, proxy: Option<&str>) -> Result<(Road, Vec<String>)> {
    let mut road = Road::beside(kapso).await?;
    if let Some(setting) = proxy {
        road.stage.set(setting, road.sim.meta_proxy_url());
    }
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_mark(Outcome::Answer(Reply::rate_limited(5))));
    let mut names = Vec::new();
    for nth in 0..5 {
        let ids = road.sim.inbound(InboundMessage::text(number(0), format!("Buenos días {nth}")));
        // Each is stored before the next is written.
        wait::until("its mark to be owed", PATIENCE, async || -> Result<bool> {
            Ok(road.count("SELECT count(*) FROM effects").await? == nth + 1)
        })
        .await?;
        names.push(if proxy.is_some() { ids.wamid } else { ids.message_id });
    }
    wait::until("every mark to be settled", PATIENCE, async || -> Result<bool> {
        let open = road.rows("SELECT * FROM effects WHERE state NOT IN ('done', 'discarded')").await?;
        ensure!(open.is_empty(), "{open:?}");
        Ok(true)
    })
    .await?;
    Ok((road, names))
}

/// The proxy alone, and beside the conversation API.
#[tokio::test]
async fn by_the_meta_proxy_the_newest_mark_covers_those_before_it() -> Result<()> {
    covers("KAPSO_API_BASE_URL").await?;
    covers("KAPSO_META_PROXY_URL").await
}

async fn covers(proxy: &str) -> Result<()> {
    let (road, names) = marked(SimConfig { dialect: Dialect::V2, ..kapso() }, Some(proxy)).await?;
    let marks = road.sim.accepted_marks();
    assert_eq!(marks.iter().map(|mark| &mark.message).collect::<Vec<_>>(), [&names[4]]);
    let covered = "SELECT outcome FROM effects WHERE state = 'discarded'";
    assert_eq!(road.texts(covered).await?, vec!["a later message's mark covers it"; 4]);
    Ok(())
}

#[tokio::test]
async fn by_the_conversation_api_each_message_is_marked() -> Result<()> {
    let (road, names) = marked(kapso(), None).await?;
    let marks = counted(road.sim.accepted_marks().into_iter().map(|mark| mark.message));
    assert_eq!(marks, counted(names.into_iter()));
    Ok(())
}

/// Postgres commits a lease, and its dispatcher never hears of it: no request has left, so nothing is in doubt.
#[tokio::test]
async fn a_lease_that_was_not_confirmed_is_given_back() -> Result<()> {
    let (road, proxy) = Road::with_database_behind_a_proxy().await?;
    // Shorter than the two seconds after which Postgres looks whether its client is still there.
    for statement in [
        "CREATE SEQUENCE leases",
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF nextval('leases') = 1 THEN PERFORM pg_sleep(1.5); END IF; RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON effects DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (NEW.lease IS NOT NULL AND OLD.lease IS NULL) EXECUTE FUNCTION dawdle()",
    ] {
        sqlx::query(statement).execute(&road.pool).await?;
    }
    let _programs = road.open().await?;
    let asked = road.ask(0..1);
    wait::until("the commit to dawdle", PATIENCE, async || -> Result<bool> {
        let dawdling = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        Ok(road.count(dawdling).await? == 1)
    })
    .await?;
    proxy.cut().await;
    road.each_answered_once(&asked).await?;
    let attempts = "SELECT attempt, outcome FROM effect_attempts
         WHERE effect_id = (SELECT id FROM effects WHERE kind = 'send_text') ORDER BY attempt";
    let attempts: Vec<(i32, Option<String>)> = sqlx::query_as(attempts).fetch_all(&road.pool).await?;
    assert_eq!(attempts, [(1, Some("no request left".to_owned())), (2, Some("done".to_owned()))]);
    Ok(())
}
