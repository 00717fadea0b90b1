//! A product that is well, and one that is not at all.

use anyhow::{Result, ensure};

use crate::scene::Scene;

/// Numbers differ from run to run; what is said does not.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('N');
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
    out
}

#[tokio::test]
async fn where_all_is_well_it_says_so() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.somebody_writes().await?;
    let told = scene.doctor(&[]).await?;
    ensure!(told.complaints().is_empty(), "{:#?}", told.complaints());
    ensure!(told.code == Some(0), "{told:?}");
    for (check, about) in [
        ("configuration", "secret"),
        ("configuration", "time-outs"),
        ("broker", "topology"),
        ("broker", "consumers"),
        ("database", "schema"),
        ("database", "partitions"),
        ("database", "arrivals"),
        ("ingest", "ready"),
        ("ingest", "spool"),
        ("api", "token"),
        ("number", "inbound"),
        ("number", "messaging"),
        ("number", "quality"),
        ("webhook", "registered"),
        ("webhook", "events"),
        ("webhook", "deliveries"),
        ("road", "answer"),
        ("road", "postgres"),
    ] {
        told.clears(check, about)?;
    }
    // Its own event is archived, and has left no other trace.
    let pool = scene.stage.pool();
    let archived: Vec<(String, bool)> =
        sqlx::query_as("SELECT kind, projected_at IS NOT NULL FROM webhooks WHERE kind LIKE 'test.%'")
            .fetch_all(pool)
            .await?;
    ensure!(archived == [("test.doctor".to_owned(), true)], "{archived:?}");
    let traces = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM conversations)
                       + (SELECT count(*) FROM contacts) + (SELECT count(*) FROM subjects)
                       + (SELECT count(*) FROM dead_letters)";
    let traces: i64 = sqlx::query_scalar(traces).fetch_one(pool).await?;
    ensure!(traces == 3, "the message, its conversation and its contact; {traces}");
    Ok(())
}

#[tokio::test]
async fn a_person_reads_it() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.somebody_writes().await?;
    let said = scene
        .run("worker", &["doctor", "--only", "configuration,broker,api,number,webhook,road"], b"")
        .await?;
    ensure!(said.code == Some(0), "{said:?}");
    insta::assert_snapshot!(without_numbers(&said.out), @r"
    configuration
      ✓ settings     all can be read
      ✓ secret       KAPSO_WEBHOOK_SECRET is set
      ✓ token        KAPSO_API_TOKEN is set
      ✓ connections  nothing leaves this machine unencrypted that need not
      ✓ time-outs    they fit: body Ns, call Ns, stop Ns of Ns (assumed)
      ✓ sizes        they fit: prefetch N, window N, pool N

    broker
      ✓ reached      RabbitMQ answers at N.N.N.N:N
      ✓ topology     queues and exchanges are as they have to be, dead letters and what nobody takes included
      ✓ consumers    N worker consumes
      ✓ backlog      N webhooks wait in `buzon.events`

    api
      ✓ token        Kapso's API at N.N.N.N takes our token

    number
      ✓ inbound      Kapso processes what people write
      ✓ status       CONNECTED
      ✓ messaging    Meta lets it send (AVAILABLE)
      ✓ quality      quality GREEN, messaging limit N, throughput TIER_NK
      ✓ health       Kapso's checks of the number pass

    webhook
      ✓ registered   it leads to http://N.N.N.N:N/api/whatsapp/webhook
      ✓ active       it is active
      ✓ events       N are subscribed, those of messages among them
      ✓ shape        kind kapso, version vN, buffering off
      ✓ deliveries   N delivery in the last day, and none failed

    road
      ✓ answer       the public address took a signed test event
      ✓ postgres     the test event is archived and projected, N.N s later

    All is well.
    ");
    Ok(())
}

/// Nothing runs, and nobody answers: each check has its say, and none waits for another.
#[tokio::test]
async fn where_nothing_is_well_it_says_that_too() -> Result<()> {
    let mut scene = Scene::new().await?;
    for (variable, url) in [
        ("DATABASE_URL", "postgres://buzon:pass@127.0.0.1:1/buzon"),
        ("AMQP_URL", "amqp://buzon:pass@127.0.0.1:1/%2f"),
        ("BUZON_PUBLIC_URL", "http://127.0.0.1:1"),
        ("KAPSO_API_BASE_URL", "http://127.0.0.1:1/api/v1"),
        ("KAPSO_PLATFORM_URL", "http://127.0.0.1:1/platform/v1"),
        ("KAPSO_WEBHOOK_SECRET", ""),
    ] {
        scene.stage.set(variable, url);
    }
    let said = scene.run("worker", &["doctor"], b"").await?;
    ensure!(said.code == Some(1) && !said.out.contains("pass@"), "{said:?}");
    insta::assert_snapshot!(without_numbers(&said.out), @r"
    configuration
      ✓ settings     all can be read
      ✗ secret       KAPSO_WEBHOOK_SECRET is not set, or empty: ingest does not start without it
                     → copy it from the webhook in Kapso, character for character; in .env: KAPSO_WEBHOOK_SECRET='…'
      ✓ token        KAPSO_API_TOKEN is set
      ✓ connections  nothing leaves this machine unencrypted that need not
      ✓ time-outs    they fit: body Ns, call Ns, stop Ns of Ns (assumed)
      ✓ sizes        they fit: prefetch N, window N, pool N

    broker
      ✗ reached      RabbitMQ at N.N.N.N:N can't be used: RabbitMQ: IO error: Connection refused (os error N)
                     → is RabbitMQ up, and AMQP_URL right (user, password, vhost)? Until then ingest spools

    database
      ✗ reached      Postgres at N.N.N.N:N can't be used: error communicating with database: Connection refused (os error N)
                     → is Postgres up, and DATABASE_URL right (user, password, database)? Until then webhooks wait in RabbitMQ

    ingest
      ✗ ready        nobody answers at http://N.N.N.N:N/readyz (Connection refused (os error N))
                     → start ingest; where it is on another machine, set BUZON_INGEST_URL
                       guía: Error: Connection refused
      ! figures      ingest's figures can't be read at http://N.N.N.N:N/metrics: nothing is said of its spool and of whom it refused
                     → run this beside ingest, or set BUZON_INGEST_METRICS_URL to where they are

    api
      ✗ token        Kapso's API at N.N.N.N does not answer: Connection refused (os error N)
                     → is KAPSO_API_BASE_URL right, and may this machine reach it (DNS, firewall)?

    number
      ✗ number       Kapso could not list our numbers (Connection refused (os error N))
                     → try again, and look whether KAPSO_PLATFORM_URL can be reached

    webhook
      ✗ registered   Kapso could not list the webhooks of a number (Connection refused (os error N))
                     → try again, and look whether KAPSO_PLATFORM_URL can be reached

    road
      ✗ answer       no test event was sent: KAPSO_WEBHOOK_SECRET is not set
                     → give the secret of the webhook in Kapso

    N things are wrong, with N remark.
    ");
    Ok(())
}
