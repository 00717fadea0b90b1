//! The verifier finds what is lost and what is there twice, by id, where a sum would fit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::envelope::{Envelope, Hints};
use contract::settings::Settings;
use harness::stage::Stage;
use load::send::{Refused, Sent};
use load::traffic::{Dialect, Stream, Traffic};
use load::verify::{Verdict, verify};
use time::OffsetDateTime;
use worker::store::{Batch, Store};

const COUNT: u64 = 80;

fn traffic() -> Traffic {
    let since = OffsetDateTime::now_utc().unix_timestamp();
    let stream =
        Stream { dialect: Dialect::V2, name: "v".to_owned(), contacts: 5, ask_every: 2, since, rate: 0.0 };
    Traffic::of(stream).unwrap()
}

fn envelope(traffic: &Traffic, number: u64, received_at: OffsetDateTime) -> Envelope {
    let mut body = Vec::new();
    let sent = traffic.write(number, &mut body);
    let mut hints = Hints::default();
    hints.offer("x-webhook-event", sent.event.unwrap().as_bytes());
    hints.offer("x-webhook-payload-version", sent.version.unwrap().as_bytes());
    let (id, kind) = traffic.id(number, &body);
    Envelope::recall(id, kind, received_at, "secret:0".to_owned(), hints, body.into())
}

/// Stores all webhooks but these, with the worker's own statements.
async fn stored_but(missing: &[u64]) -> (Stage, Store, Traffic, Sent) {
    let stage = Stage::new().await.unwrap();
    let none: [(String, String); 0] = [];
    let policy = worker::settings::policy(&Settings::from_values(none).unwrap()).unwrap();
    let store = Store::new(stage.pool().clone(), policy);
    let traffic = traffic();
    let now = OffsetDateTime::now_utc();
    let there = (0..COUNT).filter(|number| !missing.contains(number));
    let webhooks: Vec<_> = there.map(|number| envelope(&traffic, number, now)).collect();
    store.take(&Batch::of(&webhooks)).await.unwrap();
    (stage, store, traffic, Sent { count: COUNT, ..Sent::default() })
}

#[tokio::test]
async fn what_is_there_once_each_is_well() {
    let (stage, _, traffic, sent) = stored_but(&[]).await;
    let verdict = verify(stage.pool(), &traffic, &sent).await.unwrap();
    assert_eq!(verdict, Verdict { wanted: COUNT, ..Verdict::default() });
    verdict.judge().unwrap();
}

/// One is lost and another is archived twice (a sender's retry in another month's partition): as many rows as were
/// sent.
#[tokio::test]
async fn one_lost_and_one_doubled_make_no_good_sum() {
    let (stage, store, traffic, sent) = stored_but(&[7]).await;
    let month_ago = OffsetDateTime::now_utc() - time::Duration::days(31);
    store.take(&Batch::of([envelope(&traffic, 12, month_ago)])).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM webhooks").fetch_one(stage.pool()).await.unwrap();
    assert_eq!(rows, 80);
    let verdict = verify(stage.pool(), &traffic, &sent).await.unwrap();
    assert_eq!((verdict.lost.as_slice(), verdict.doubled.as_slice()), (&[7][..], &[12][..]));
    assert!(verdict.judge().unwrap_err().to_string().contains("lost 1 (7)"));
}

#[tokio::test]
async fn what_is_archived_but_not_projected_is_told() {
    let (stage, _, traffic, sent) = stored_but(&[]).await;
    let (inbound, delivered) = (traffic.message(4), traffic.message(10));
    sqlx::query("DELETE FROM messages WHERE id = $1").bind(inbound).execute(stage.pool()).await.unwrap();
    sqlx::query("DELETE FROM message_statuses WHERE message_id = $1 AND status = 'delivered'")
        .bind(delivered)
        .execute(stage.pool())
        .await
        .unwrap();
    let verdict = verify(stage.pool(), &traffic, &sent).await.unwrap();
    assert_eq!((verdict.lost.len(), verdict.unprojected.as_slice()), (0, &[4, 10][..]));
}

#[tokio::test]
async fn what_was_not_promised_may_be_missing() {
    let (stage, _, traffic, sent) = stored_but(&[3]).await;
    let refused = vec![Refused { number: 3, status: 503 }, Refused { number: 5, status: 0 }];
    let verdict = verify(stage.pool(), &traffic, &Sent { refused, ..sent }).await.unwrap();
    assert_eq!(verdict, Verdict { wanted: COUNT - 2, ..Verdict::default() });
}
