//! How much a worker has under way, and how what has ended is recorded: what fails leaves room for what does not, and
//! an outcome that can't be stored costs itself only.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Fault, Outcome, Reply};

use crate::scene::{PATIENCE, Road, figure, number};

/// Half of what a worker has under way at the most.
const RETRIES_AT_ONCE: usize = 128;

#[tokio::test]
async fn half_of_the_slots_are_kept_from_retries() -> Result<()> {
    let road = Road::new().await?;
    let _programs = road.open().await?;
    // More than all slots: each is refused once, and then answered after a long time.
    let slow = 300;
    for contact in 0..slow {
        let number = number(contact);
        let name = number.trim_start_matches('+');
        road.sim.fault(Fault::next_send(Outcome::Answer(Reply::in_flight())).about(name));
        road.sim.fault(Fault::next_send(Outcome::Delay(Duration::from_secs(8))).about(name));
    }
    let _asked = road.ask(0..slow);
    let retrying = "SELECT count(*) FROM effects WHERE lease IS NOT NULL AND attempts > 1";
    wait::until("the retries to be under way", PATIENCE, async || -> Result<bool> {
        let waiting = "SELECT count(*) FROM effects WHERE kind = 'send_text' AND attempts = 0";
        let (retrying, waiting) = (road.count(retrying).await?, road.count(waiting).await?);
        ensure!(
            waiting == 0 && retrying == i64::try_from(RETRIES_AT_ONCE)?,
            "{retrying} retries, {waiting} wait"
        );
        Ok(true)
    })
    .await?;
    let done = "SELECT count(*) FROM effects WHERE kind = 'send_text' AND state = 'done'";
    let before = road.count(done).await?;
    let prompt = road.ask(1000..1010);
    for ids in &prompt {
        wait::until("a prompt reply", PATIENCE, async || -> Result<bool> {
            let retries = road.count(retrying).await?;
            ensure!(retries <= i64::try_from(RETRIES_AT_ONCE)?, "{retries} retries are under way");
            Ok(road.effect(&ids.message_id, "send_text").await?.state == "done")
        })
        .await?;
    }
    // Beside the prompt ones no more than the retries that were under way had ended.
    let ended = usize::try_from(road.count(done).await? - before)?;
    ensure!(ended <= prompt.len() + RETRIES_AT_ONCE, "{ended} had ended by then");
    Ok(())
}

/// Outcomes are recorded in groups. Of one group, one can't be stored as a message: that it went out is recorded all
/// the same, and the others are whole.
#[tokio::test]
async fn an_outcome_that_can_not_be_stored_costs_itself_only() -> Result<()> {
    let road = Road::new().await?;
    for statement in [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '22000'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW
         WHEN (NEW.direction = 'outbound' AND NEW.contact_id LIKE '%0007') EXECUTE FUNCTION refuse()",
    ] {
        sqlx::query(statement).execute(&road.pool).await?;
    }
    let [_ingest, worker] = road.open().await?;
    // All of them end at once.
    for contact in 0..20 {
        let slow = Outcome::Delay(Duration::from_secs(3));
        road.sim.fault(Fault::next_send(slow).about(number(contact).trim_start_matches('+')));
    }
    let asked = road.ask(0..20);
    road.each_answered_once(&asked).await?;
    assert_eq!(worker.log().matches("a reply went out, and is not stored as a message").count(), 1);
    assert_eq!(road.count("SELECT count(*) FROM messages WHERE direction = 'outbound'").await?, 19);
    let nameless = "SELECT recipient FROM effects WHERE kind = 'send_text' AND sent_message_id IS NULL";
    assert_eq!(road.texts(nameless).await?, [number(7).trim_start_matches('+')]);
    Ok(())
}

/// Each attempt is recorded once, with its own answer, whatever it is recorded with.
#[tokio::test]
async fn what_is_recorded_together_is_each_recorded_once() -> Result<()> {
    let road = Road::new().await?;
    let [_ingest, worker] = road.open().await?;
    let answers = |contact: usize| match contact % 4 {
        0 => ("done", 201, Outcome::Delay(Duration::from_secs(3))),
        1 => ("discarded", 422, Outcome::Answer(Reply::window_closed())),
        2 => ("unknown", 504, Outcome::AcceptThenAnswer(Reply::cloudflare(504))),
        _ => ("done", 201, Outcome::Answer(Reply::in_flight())),
    };
    for contact in 0..100 {
        let number = number(contact);
        road.sim.fault(Fault::next_send(answers(contact).2).about(number.trim_start_matches('+')));
    }
    let asked = road.ask(0..100);
    for (contact, ids) in asked.iter().enumerate() {
        let (state, status, _) = answers(contact);
        let effect = road.effect_becomes(&ids.message_id, "send_text", state).await?;
        let attempts = "SELECT http_status FROM effect_attempts WHERE effect_id = $1 ORDER BY attempt";
        let statuses: Vec<Option<i32>> =
            sqlx::query_scalar(attempts).bind(effect.id).fetch_all(&road.pool).await?;
        let retried = if contact % 4 == 3 { vec![Some(409), Some(status)] } else { vec![Some(status)] };
        assert_eq!(statuses, retried, "{effect:?}");
    }
    wait::until("nothing to be under way", PATIENCE, async || -> Result<bool> {
        Ok(road.count("SELECT count(*) FROM effect_attempts WHERE outcome IS NULL").await? == 0)
    })
    .await?;
    let sent = road.sim.accepted_sends().len();
    assert_eq!(sent, 75);
    assert_eq!(road.count("SELECT count(*) FROM messages WHERE direction = 'outbound'").await?, 50);
    let attempted = async |outcome: &str| {
        figure(&worker, &format!(r#"buzon_effects_attempted_total{{kind="send_text",outcome="{outcome}"}}"#))
            .await
    };
    assert!((attempted("done").await? - 50.0).abs() < 0.5);
    assert!((attempted("again").await? - 25.0).abs() < 0.5);
    Ok(())
}
