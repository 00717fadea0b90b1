//! Kapso's side: the token, the webhook's registration, and what became of what it sent.

use anyhow::{Result, ensure};
use kapso_sim::{Fault, InboundMessage, MessagingHealth, NumberState, Outcome, Reply};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, TOKEN};

impl Scene {
    /// Changes the registration, as somebody does in Kapso.
    async fn registers(&self, webhook: Value) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let base = format!("{}/whatsapp", self.sim.platform_url());
        let listed: Value =
            client.get(format!("{base}/webhooks")).header("X-API-Key", TOKEN).send().await?.json().await?;
        let id = listed["data"][0]["id"].as_str().unwrap_or_default().to_owned();
        let changed = client
            .patch(format!("{base}/webhooks/{id}"))
            .header("X-API-Key", TOKEN)
            .json(&json!({ "whatsapp_webhook": webhook }))
            .send()
            .await?;
        ensure!(changed.status() == 200, "{}", changed.text().await?);
        Ok(())
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_named() -> Result<()> {
    let mut scene = Scene::new().await?;
    scene.stage.set("KAPSO_API_TOKEN", "another");
    let told = scene.doctor(&["--only", "api,webhook"]).await?;
    told.names("api", "token", &["HTTP 401", "KAPSO_API_TOKEN"])?.names(
        "webhook",
        "registered",
        &["KAPSO_API_TOKEN"],
    )?;
    ensure!(!format!("{told:?}").contains("another"), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_absent_or_leads_elsewhere_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    scene.sim.set_webhook_url("https://elsewhere.example/api/whatsapp/webhook");
    let told = scene.doctor(&["--only", "webhook"]).await?;
    told.names(
        "webhook",
        "registered",
        &["https://elsewhere.example", "BUZON_PUBLIC_URL", "No se reciben webhooks"],
    )?;
    scene.sim.clear_webhook_url();
    let told = scene.doctor(&["--only", "webhook"]).await?;
    told.names(
        "webhook",
        "registered",
        &["have no webhook", "worker webhook register", "No se reciben webhooks"],
    )?;
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_paused_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    scene.sim.set_paused(true);
    let told = scene.doctor(&["--only", "webhook"]).await?;
    told.names("webhook", "active", &["paused", "worker webhook resume"])?.clears("webhook", "registered")?;
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_not_subscribed_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    scene.registers(json!({ "events": ["whatsapp.message.sent"] })).await?;
    let told = scene.doctor(&["--only", "webhook"]).await?;
    told.names(
        "webhook",
        "events",
        &["whatsapp.message.received is not subscribed", "No se reciben webhooks"],
    )?;
    scene.registers(json!({ "events": ["whatsapp.message.received"] })).await?;
    let told = scene.doctor(&["--only", "webhook"]).await?;
    told.has("remark", "webhook", "events", &["whatsapp.message.delivered", "what became of our messages"])?;
    ensure!(told.code == Some(0), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_number_that_lets_nothing_in_or_out_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    let well = scene.sim.number();
    let asked = async |number: NumberState| {
        scene.sim.set_number(number);
        scene.doctor(&["--only", "number"]).await
    };
    let off = NumberState { inbound_processing_enabled: false, ..well.clone() };
    asked(off).await?.names(
        "number",
        "inbound",
        &["inbound_processing_enabled", "No se reciben webhooks", "worker backfill"],
    )?;
    let blocked = well.clone().messaging(MessagingHealth::Blocked);
    asked(blocked).await?.names("number", "messaging", &["BLOCKED", "nothing can be sent"])?;
    for (number, about, word) in [
        (well.clone().messaging(MessagingHealth::Limited), "messaging", "LIMITED"),
        (NumberState { quality_rating: "RED".to_owned(), ..well.clone() }, "quality", "quality RED"),
        (NumberState { connection_passed: None, ..well.clone() }, "health", "phone_number_connection"),
    ] {
        let told = asked(number).await?;
        told.has("remark", "number", about, &[word])?;
        ensure!(told.code == Some(0), "{told:?}");
    }
    let cut = NumberState { connection_passed: Some(false), ..well.clone() };
    asked(cut).await?.names("number", "health", &["phone_number_connection failed"])?;
    asked(well).await?.clears("number", "inbound")?.clears("number", "health")?;
    Ok(())
}

/// Kapso shows it to whoever has the key; no output of ours does.
#[tokio::test]
async fn the_secret_that_kapso_lists_is_not_shown() -> Result<()> {
    let scene = Scene::new().await?;
    scene.registers(json!({ "secret_key": "s3cret-of-kapso" })).await?;
    for args in
        [&["doctor"][..], &["doctor", "--json"], &["webhook", "status"], &["webhook", "status", "--json"]]
    {
        let said = scene.run("worker", args, b"").await?;
        ensure!(!format!("{said:?}").contains("s3cret-of-kapso"), "{said:?}");
    }
    Ok(())
}

/// Kapso signs with one secret, ingest has another: each side looks well by itself.
#[tokio::test]
async fn a_secret_that_differs_at_kapso_is_seen_by_its_deliveries() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.registers(json!({ "secret_key": "another" })).await?;
    drop(scene.sim.inbound(InboundMessage::text("+56955510001", "Hola")));
    ensure!(scene.sim.idle(PATIENCE).await, "the simulator still has something on its way");
    let told = scene.doctor(&[]).await?;
    told.names("webhook", "deliveries", &["HTTP 401", "KAPSO_WEBHOOK_SECRET", "Invalid webhook signature"])?
        .clears("road", "postgres")?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_only_leads_on_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    scene.sim.fault(Fault::next_list(Outcome::Answer(Reply::kapso(301, "Moved"))));
    let told = scene.doctor(&["--only", "api"]).await?;
    told.names("api", "token", &["elsewhere", "HTTP 301", "KAPSO_API_BASE_URL"])?;
    Ok(())
}

/// Marks go there: what it says of the token is said too.
#[tokio::test]
async fn the_meta_proxy_beside_the_conversation_api_is_asked_too() -> Result<()> {
    let mut scene = Scene::new().await?;
    scene.stage.set("KAPSO_META_PROXY_URL", scene.sim.meta_proxy_url());
    let told = scene.doctor(&["--only", "api"]).await?;
    ensure!(format!("{told:?}").matches("takes our token").count() == 2, "{told:?}");
    scene.stage.set("KAPSO_META_PROXY_URL", "http://127.0.0.1:9/meta/whatsapp/v24.0");
    let told = scene.doctor(&["--only", "api"]).await?;
    told.names("api", "marks", &["does not answer", "KAPSO_META_PROXY_URL"])?;
    Ok(())
}
