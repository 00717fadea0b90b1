//! Nothing of it is anywhere: it is sent again, once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, Fault, Outcome, Reply, SimConfig, Statuses, Times};

use super::scene::{DEADLINE, LISTED_TWICE, SETTLE, STYLES, Style};
use crate::scene::{A_WHILE, PATIENCE, Road, holds, kapso};

/// Messages that a listing has beside the one that is looked for and its question.
const OTHERS: usize = 12;

#[tokio::test]
async fn what_two_listings_lack_is_sent_again_once() -> Result<()> {
    for style in STYLES {
        let road = Road::of(style, Dialect::V2, Statuses::NONE).await?;
        let _programs = road.open().await?;
        let _second = road.stage.worker().await?;
        let ids = road.asks_in_vain(0, Outcome::Cut);
        road.reply_becomes(&ids, "unknown").await?;
        let later = road.asks(0);
        let effect = road.reply_becomes(&ids, "done").await?;
        assert_eq!((effect.attempts, effect.outcome.as_deref()), (2, Some("done")), "{style:?}");
        road.reply_becomes(&later, "done").await?;
        assert_eq!(road.sent().len(), 2, "one for each message");

        // The first listing was behind our deadline, the last behind that by what is set.
        let asked = road.rows("SELECT extract(epoch FROM asked_at - (SELECT min(started_at) FROM effect_attempts
            JOIN effects ON id = effect_id WHERE kind = 'send_text'))::float8 AS later FROM effect_listings ORDER BY id").await?;
        ensure!(asked.len() == 2 && road.listings().len() == 2, "{asked:?}");
        let later = |place: usize| asked[place]["later"].as_f64().context("seconds");
        ensure!(later(0)? >= DEADLINE.as_secs_f64(), "{asked:?}");
        ensure!(later(1)? >= DEADLINE.as_secs_f64() + SETTLE as f64, "{asked:?}");
        holds("one reply each", A_WHILE, async || Ok(road.sent().len() == 2)).await?;
        road.one_message_each().await?;
        assert_eq!(road.count("SELECT count(*) FROM effect_doubts").await?, 0);
    }
    Ok(())
}

/// A busy number has many pages: some of them fail, and still both listings come to their end.
#[tokio::test]
async fn a_long_listing_of_which_pages_fail_comes_to_its_end() -> Result<()> {
    for style in STYLES {
        let road = Road::with_short_pages(style).await?;
        let _programs = road.open().await?;
        road.sim.fault(Fault::next_list(Outcome::Answer(Reply::cloudflare(503))).times(Times::Chance(0.3)));
        let lost = road.asks_in_vain(0, Outcome::Cut);
        road.says_more(OTHERS);
        road.reply_becomes(&lost, "unknown").await?;
        let effect = road.reply_becomes(&lost, "done").await?;
        assert_eq!((effect.attempts, effect.outcome.as_deref()), (2, Some("done")), "{style:?}");
        assert_eq!(road.sent().len(), 1);
        let pages = road.count("SELECT count(*) FROM effect_listings WHERE http_status = 200").await?;
        ensure!(pages >= 2 * (OTHERS as i64 + 1), "{style:?}: {pages} pages");
        ensure!(road.count("SELECT count(*) FROM effect_listings WHERE http_status = 503").await? > 0);
    }
    Ok(())
}

/// It has more pages than may be asked for in a minute: it goes on in the next one, where it was.
#[tokio::test]
async fn a_listing_longer_than_a_minute_allows_goes_on_in_the_next() -> Result<()> {
    let mut road = Road::with_short_pages(Style::Proxy).await?;
    // Ten pages a minute.
    road.stage.set("BUZON_API_CALLS_A_MINUTE", "40");
    let _programs = road.open().await?;
    let lost = road.asks_in_vain(0, Outcome::AcceptThenCut);
    road.says_more(OTHERS);
    wait::until("ten pages", LISTED_TWICE + PATIENCE, async || road.listings().len() == 10).await?;
    holds("no more pages", A_WHILE, async || Ok(road.listings().len() == 10)).await?;
    wait::until("the rest", Duration::from_secs(61) + PATIENCE, async || road.listings().len() > 10).await?;
    road.went_out(&lost, "a message with its text").await?;
    let pages = road.listings().len();
    // Begun anew it would come to ten more; a second listing may have begun meanwhile, within the limit.
    ensure!(road.sent().len() == 1 && (OTHERS + 2..=20).contains(&pages), "{pages} pages");
    Ok(())
}

/// A mark is harmless: nobody asks about it, and it holds nothing up.
#[tokio::test]
async fn a_mark_in_doubt_is_left_alone() -> Result<()> {
    let road = Road::of(Style::Conversation, Dialect::V1, Statuses::NONE).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_mark(Outcome::AcceptThenCut));
    let ids = road.asks(0);
    let mark = road.effect_becomes(&ids.wamid, "mark_read", "unknown").await?;
    road.reply_becomes(&ids, "done").await?;
    holds("left alone", LISTED_TWICE, async || {
        Ok(road.listings().is_empty() && road.effect(&ids.wamid, "mark_read").await? == mark)
    })
    .await
}

/// A 429 to a listing holds the key as one to a reply does, and nothing is asked before it ends.
#[tokio::test]
async fn a_listing_that_is_put_off_waits_as_long_as_it_is_told() -> Result<()> {
    let road = Road::of(Style::Proxy, Dialect::V2, Statuses::NONE).await?;
    let _programs = road.open().await?;
    road.sim.fault(Fault::next_list(Outcome::Answer(Reply::rate_limited(6))));
    let ids = road.asks_in_vain(0, Outcome::AcceptThenCut);
    road.listed(1).await?;
    let other = road.asks(1);
    road.went_out(&ids, "a message with its text").await?;
    road.reply_becomes(&other, "done").await?;
    let refused = road.listings()[0].at_ms;
    let after = road.sim.calls().into_iter().filter(|call| call.at_ms > refused);
    let soonest = after.map(|call| call.at_ms - refused).min().context("more calls")?;
    ensure!(soonest >= 6_000, "Retry-After was 6 s, and a call came after {soonest} ms");
    Ok(())
}

/// Too old to be sent again: it stays unknown and says so, and its lane goes on.
#[tokio::test]
async fn what_is_too_old_by_then_stays_unknown_and_says_so() -> Result<()> {
    let mut road = Road::beside(SimConfig { dialect: Dialect::V2, ..kapso() }).await?;
    road.stage.set("BUZON_REPLY_MAX_AGE_SECONDS", "12");
    road.stage.set("BUZON_UNKNOWN_SETTLE_SECONDS", "30");
    let _programs = road.open().await?;
    let ids = road.asks_in_vain(0, Outcome::Cut);
    road.reply_becomes(&ids, "unknown").await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let later = road.asks(0);
    road.reply_becomes(&later, "done").await?;
    let reply = road.reply_to(&ids).await?;
    ensure!(reply.state == "unknown" && reply.attempts == 1, "{reply:?}");
    let says = reply.outcome.unwrap_or_default();
    ensure!(says.ends_with("nothing has shown since whether it went out"), "{says}");
    assert_eq!(road.sent().len(), 1);
    Ok(())
}
