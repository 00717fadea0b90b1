//! What ingest raises by itself.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::receiver::Receiver;
use crate::scene::Road;
use crate::watched::{becomes, lines};

#[tokio::test]
async fn signatures_that_fail_are_told_by_ingest() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut road = Road::watched(&receiver).await?;
    let ingest = road.stage.ingest().await?;
    let body =
        json!({ "event_type": "message.received", "payload": { "content": "un secreto" } }).to_string();
    let wrong = "0".repeat(64);
    for _ in 0..10 {
        let answer = road.stage.post(body.clone(), &[("X-Kapso-Signature", &wrong)]).await?;
        ensure!(answer.status() == 401);
    }
    becomes(&receiver, "signatures_failing", &["raised"]).await?;
    let told = receiver.told("signatures_failing");
    ensure!(told[0]["source"] == "ingest" && !told[0].to_string().contains("secreto"), "{told:?}");
    ensure!(lines(&ingest, "alarm raised") == 1, "{}", ingest.log());
    ensure!(road.stage.post_signed(body).await?.status() == 200);
    becomes(&receiver, "signatures_failing", &["raised", "resolved"]).await?;
    road.stage.set("BUZON_ALERT_URL", "no address");
    let refused = road.stage.finish("ingest", &["run"]).await?;
    ensure!(refused.code == Some(64) && refused.log.contains("BUZON_ALERT_URL is malformed"), "{refused:?}");
    Ok(())
}
