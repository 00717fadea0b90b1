//! A webhook that kills the worker outright costs itself, and a known number of restarts.

use anyhow::{Result, ensure};
use harness::product::Product;
use harness::wait;
use kapso_sim::InboundMessage;

use crate::scene::{PATIENCE, Road, number};

/// At this text in a body a worker of a debug build aborts.
const KILLER: &str = "mata al worker";

/// How many are beside it: more than two windows, less than what is prefetched.
const NEIGHBOURS: usize = 600;

/// Three in the fast lane, until it is suspected; three in the slow lane, each counted before it struck.
const DEATHS: usize = 6;

/// A worker, and somebody who starts it again.
struct Supervised<'a> {
    road: &'a Road,
    worker: Product,
    deaths: usize,
}

impl<'a> Supervised<'a> {
    fn start(road: &'a Road) -> Result<Self> {
        Ok(Self { road, worker: road.stage.worker_unready()?, deaths: 0 })
    }

    fn tend(&mut self) -> Result<()> {
        if let Some(status) = self.worker.process().ended()? {
            ensure!(status.code().is_none(), "no abort: {status} {}", self.worker.log());
            self.deaths += 1;
            self.worker = self.road.stage.worker_unready()?;
        }
        Ok(())
    }
}

async fn a_killer_among_neighbours(workers: usize) -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("BUZON_TEST_ABORT_ON", KILLER);
    let _ingest = road.stage.ingest().await?;
    let mut good = road.ask(0..NEIGHBOURS / 2);
    let killer = road.sim.inbound(InboundMessage::text(number(9999), format!("ayuda, {KILLER}")));
    good.extend(road.ask(NEIGHBOURS / 2..NEIGHBOURS));
    road.all_answered().await?;

    let mut supervised = (0..workers).map(|_| Supervised::start(&road)).collect::<Result<Vec<_>>>()?;
    wait::until("one dead letter, and the others projected", PATIENCE, async || -> Result<bool> {
        supervised.iter_mut().try_for_each(Supervised::tend)?;
        let dead = road.count("SELECT count(*) FROM dead_letters").await?;
        let projected = road.count("SELECT count(*) FROM webhooks WHERE projected_at IS NOT NULL").await?;
        ensure!((dead, projected) == (1, i64::try_from(NEIGHBOURS)?), "{dead} dead, {projected} projected");
        Ok(true)
    })
    .await?;

    let deaths: usize = supervised.iter().map(|worker| worker.deaths).sum();
    assert_eq!(deaths, DEATHS);
    let (body, reason): (Vec<u8>, String) =
        sqlx::query_as("SELECT body, reason FROM webhooks JOIN dead_letters ON webhook_id = webhooks.id")
            .fetch_one(&road.pool)
            .await?;
    let sent = road.sim.deliveries().into_iter().find(|it| it.message_ids.contains(&killer.message_id));
    assert_eq!(sent.map(|sent| sent.body.to_vec()), Some(body));
    assert!(reason.contains("the worker stopped in each of 3 attempts"), "{reason}");
    assert_eq!(road.count("SELECT count(*) FROM webhooks WHERE dead_at IS NOT NULL").await?, 1);
    road.sim.clear_deliveries();
    road.each_answered_once_or_unknown(&good).await
}

#[tokio::test]
async fn its_neighbours_are_projected_and_it_is_a_dead_letter_after_three_attempts() -> Result<()> {
    a_killer_among_neighbours(1).await
}

#[tokio::test]
async fn two_workers_die_no_more_often_than_one() -> Result<()> {
    a_killer_among_neighbours(2).await
}
