//! Requests that are slightly off at the door, and right.

use anyhow::{Result, ensure};
use harness::sign;
use harness::stage::SECRET;
use time::OffsetDateTime;

use crate::case::{Api, Webhook};
use crate::dialects::{Guide, Person, Said, V2, told};
use crate::road::Road;

/// A slash too many at the end of the address is no reason to lose a webhook.
#[tokio::test]
async fn a_slash_at_the_end_of_the_path() -> Result<()> {
    let road = Road::open(Api::Conversation).await?;
    let who = Person::new("trailing-slash", 1);
    let webhook = Webhook::from(told(Guide, &Said::text(&who, 1, "ayuda")));
    let body = webhook.render(OffsetDateTime::now_utc())?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/", road.stage.webhook_url());
    let signature = sign::hex(SECRET, body.as_bytes())?;
    let request = client.post(url).header("Content-Type", "application/json");
    let answer = request.header("X-Kapso-Signature", signature).body(body.clone()).send().await?;
    ensure!(answer.status() == 200, "{answer:?}");
    road.projected(body.as_bytes()).await?;
    road.settled(&who.id(1)).await?;
    ensure!(road.sends().len() == 1, "{:?}", road.sends());
    Ok(())
}

/// A byte order mark is part of what is signed, and says nothing.
#[tokio::test]
async fn a_body_that_begins_with_a_byte_order_mark() -> Result<()> {
    let road = Road::open(Api::Conversation).await?;
    for (dialect, nth) in [(Guide, 1), (V2, 2)] {
        let who = Person::new(format!("byte-order-mark-{dialect}"), nth);
        let said = Said::text(&who, 1, "ayuda");
        let mut webhook = Webhook::from(told(dialect, &said));
        webhook.template.insert(0, '\u{feff}');
        road.tell(&webhook).await?;
        let row = road.row("SELECT * FROM messages WHERE id = $1", &said.id).await?;
        ensure!(row.as_ref().is_some_and(|row| row["body"] == "ayuda"), "{dialect}: {row:?}");
        road.settled(&said.id).await?;
    }
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&road.pool).await?;
    ensure!(letters == 0, "{letters} dead letters");
    ensure!(road.sends().len() == 2, "{:?}", road.sends());
    Ok(())
}
