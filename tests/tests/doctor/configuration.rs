//! Settings that are missing, malformed or at odds.

use anyhow::{Result, ensure};

use crate::scene::Scene;

async fn told(pairs: &[(&str, &str)]) -> Result<crate::scene::Told> {
    let mut scene = Scene::new().await?;
    for (variable, value) in pairs {
        scene.stage.set(variable, *value);
    }
    scene.doctor(&["--only", "configuration"]).await
}

#[tokio::test]
async fn an_empty_secret_is_none() -> Result<()> {
    let missing = told(&[("KAPSO_WEBHOOK_SECRET", "")]).await?;
    missing.names("configuration", "secret", &["KAPSO_WEBHOOK_SECRET is not set, or empty"])?;
    let trial = told(&[("KAPSO_WEBHOOK_SECRET", ""), ("BUZON_ENV", "development")]).await?;
    ensure!(trial.code == Some(0), "{trial:?}");
    trial.has("remark", "configuration", "secret", &["anybody can send webhooks"])?;
    Ok(())
}

#[tokio::test]
async fn a_secret_in_quotes_or_with_white_space_is_seen_and_not_shown() -> Result<()> {
    for (value, oddity) in [("'s3cret'", "stands in quotes"), ("s3cret ", "ends with white space")] {
        let told = told(&[("KAPSO_WEBHOOK_SECRET", value)]).await?;
        told.names("configuration", "secret", &[oddity, "Invalid webhook signature"])?;
        ensure!(!format!("{told:?}").contains("s3cret"), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_read_is_named_and_the_rest_is_looked_at() -> Result<()> {
    let told = told(&[("BUZON_WINDOW", "many"), ("BUZON_SHUTDOWN_DEADLINE_MS", "40000")]).await?;
    told.names("configuration", "settings", &["BUZON_WINDOW is malformed"])?;
    told.has("remark", "configuration", "time-outs", &["40s", "stop_grace_period"])?;
    Ok(())
}

/// How long the platform waits before it kills, no program can ask: what is assumed is said.
#[tokio::test]
async fn a_stop_is_compared_with_the_platforms_grace() -> Result<()> {
    let told_of = async |stop, grace| {
        told(&[("BUZON_SHUTDOWN_DEADLINE_MS", stop), ("BUZON_STOP_GRACE_SECONDS", grace)]).await
    };
    told_of("40000", "").await?.has(
        "remark",
        "configuration",
        "time-outs",
        &["kills after 30s (assumed)"],
    )?;
    told_of("40000", "60").await?.has("fine", "configuration", "time-outs", &["stop 40s of 60s\""])?;
    told_of("20000", "10").await?.has("remark", "configuration", "time-outs", &["kills after 10s\""])?;
    Ok(())
}

#[tokio::test]
async fn plain_addresses_beyond_this_machine_are_remarked_on() -> Result<()> {
    let told = told(&[
        ("KAPSO_API_BASE_URL", "http://kapso.example/api/v1"),
        ("AMQP_URL", "amqp://buzon:pass@rabbitmq:5672/%2f"),
    ])
    .await?;
    ensure!(told.code == Some(0), "{told:?}");
    told.has("remark", "configuration", "connections", &["KAPSO_API_BASE_URL, AMQP_URL"])?;
    Ok(())
}
