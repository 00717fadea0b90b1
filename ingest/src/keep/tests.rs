//! Which way webhooks take when the broker or the spool does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::spool::tests::{scratch, settings, webhook};

async fn keep(keeper: &Keeper) -> Result<Kept, NotKept> {
    keeper.keep(&webhook(b"{}"), Instant::now()).await
}

#[tokio::test]
async fn the_broker_comes_first_and_the_spool_after_it() {
    assert_eq!(keep(&always(Ok(()), Err(NotStored::Full))).await, Ok(Kept::Queue));
    for why in Unconfirmed::ALL {
        assert_eq!(keep(&always(Err(why), Ok(()))).await, Ok(Kept::Spool));
        let neither = NotKept { broker: why, spool: NotStored::Full };
        assert_eq!(keep(&always(Err(why), Err(NotStored::Full))).await, Err(neither));
    }
}

#[tokio::test]
async fn after_a_failure_all_are_spooled_at_once() {
    let keeper = always(Ok(()), Ok(()));
    keeper.way.leave(Unconfirmed::Late);
    assert_eq!(keep(&keeper).await, Ok(Kept::Spool));
    keeper.way.open();
    assert_eq!(keep(&keeper).await, Ok(Kept::Queue));
}

#[tokio::test]
async fn past_a_spool_that_takes_nothing_the_broker_is_tried() {
    let keeper = always(Ok(()), Err(NotStored::Failed));
    keeper.way.leave(Unconfirmed::Away);
    assert_eq!(keep(&keeper).await, Ok(Kept::Queue));
    assert!(keeper.way.is_direct());
}

#[tokio::test]
async fn neither_a_silent_broker_nor_a_silent_disk_is_waited_for() {
    let keeper = Keeper {
        publisher: crate::publish::silent(),
        spool: crate::spool::silent(),
        way: Way::new(Figures::register()),
    };
    // Once directly, and once past a spool that is asked first.
    for _ in 0..2 {
        let begun = Instant::now();
        let neither = NotKept { broker: Unconfirmed::Late, spool: NotStored::Late };
        assert_eq!(keep(&keeper).await, Err(neither));
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    }
}

/// What was spooled is drained, its segment goes, and the way is direct again.
#[tokio::test]
async fn the_drainer_empties_the_spool_and_opens_the_way() {
    let scratch = scratch();
    let figures = Figures::register();
    let (spool, source) = Spool::open(&settings(&scratch), figures.clone()).unwrap();
    for n in 0..100 {
        let deadline = Instant::now() + Duration::from_secs(10);
        spool.store(&webhook(format!("{n}").as_bytes()), deadline).await.unwrap();
    }
    assert_eq!(scratch.segments().len(), 1);
    let (publisher, mut published) = crate::publish::to_list();
    let (keeper, draining) = start(publisher, (spool, source), figures);
    keeper.way.leave(Unconfirmed::Away);
    let mut bodies = Vec::new();
    while bodies.len() < 100 {
        bodies.push(published.recv().await.unwrap());
    }
    assert_eq!(bodies, (0..100).map(|n| format!("{n}").into_bytes()).collect::<Vec<_>>());
    draining.stop().await;
    assert!(keeper.way.is_direct());
    assert_eq!(keep(&keeper).await, Ok(Kept::Queue));
    for _ in 0..500 {
        if scratch.segments().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the segment is still there");
}

/// One that the broker never takes holds up its segment, and no other webhook.
#[tokio::test]
async fn a_webhook_that_always_fails_holds_up_no_other() {
    let scratch = scratch();
    let figures = Figures::register();
    let (spool, source) = Spool::open(&settings(&scratch), figures.clone()).unwrap();
    for body in ["first", "POISON", "second", "third"] {
        let deadline = Instant::now() + Duration::from_secs(10);
        spool.store(&webhook(body.as_bytes()), deadline).await.unwrap();
    }
    let (publisher, mut published) = crate::publish::to_list();
    let (_keeper, draining) = start(publisher, (spool, source), figures);
    for expected in ["first", "second", "third"] {
        assert_eq!(published.recv().await.unwrap(), expected.as_bytes());
    }
    draining.stop().await;
    assert_eq!(scratch.segments().len(), 1);
}
