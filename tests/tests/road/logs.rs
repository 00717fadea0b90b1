//! Nobody's text, number, name, token or media address is in the logs.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Content, Fault, InboundMessage, Outcome, RawWebhook, Reply};

use crate::scene::{PATIENCE, Road, TOKEN};

const TEXT: &str = "ayuda con mi zanahoria";
const NUMBER: &str = "56987654321";
const NAME: &str = "Zoraida Quilodrán";
const WAMID: &str = "wamid.HBgLNTY5ODc2NTQzMjEVAgASGBQzQTdGMEM5RDJCNDE1RTZBODg5MwA=";
const DATABASE_PASSWORD: &str = "contrasena-de-la-base";

/// A contact with all that must not be seen.
fn message(content: Content) -> InboundMessage {
    InboundMessage {
        name: Some(NAME.to_owned()),
        conversation_id: Some("conv-visible".to_owned()),
        ..InboundMessage::new(format!("+{NUMBER}"), content)
    }
}

#[tokio::test]
async fn a_log_tells_what_happened_and_nothing_private() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("RUST_LOG", "info");
    // Nobody asks for it here, and so it is taken.
    let url = road.stage.setting("DATABASE_URL").replace("buzon@", &format!("buzon:{DATABASE_PASSWORD}@"));
    ensure!(url.contains(DATABASE_PASSWORD));
    road.stage.set("DATABASE_URL", url);
    sqlx::query("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%veneno%')")
        .execute(&road.pool)
        .await?;
    let [ingest, worker] = road.open().await?;

    // What goes well.
    let named = InboundMessage { message_id: Some(WAMID.to_owned()), ..message(Content::text(TEXT)) };
    let well = road.sim.inbound(named);
    road.effect_becomes(&well.message_id, "mark_read", "done").await?;
    let image = Content::sample("image", TEXT).map(message).map(|image| road.sim.inbound(image));
    // What is refused, by Kapso for good and for now, and what is lost.
    for outcome in [
        Outcome::Answer(Reply::window_closed()),
        Outcome::Answer(Reply::server_error(500)),
        Outcome::AcceptThenCut,
    ] {
        road.sim.fault(Fault::next_send(outcome));
        let ids = road.sim.inbound(message(Content::text(TEXT)));
        wait::until("what became of it", PATIENCE, async || -> Result<bool> {
            let effect = road.effect(&ids.message_id, "send_text").await?;
            ensure!(effect.state != "pending", "{effect:?}");
            Ok(true)
        })
        .await?;
    }
    // What Postgres refuses, what can't be read, and what is not authentic.
    let _poison = road.sim.inbound(message(Content::text(format!("{TEXT}, veneno"))));
    road.sim.send_webhook("message.received", format!("{TEXT} +{NUMBER} {NAME}"));
    road.sim.send_webhook(
        "contact.updated",
        format!(r#"{{"event_type":"contact.updated","payload":"{NUMBER}"}}"#),
    );
    let unauthentic = format!(r#"{{"event_type":"message.received","payload":{{"content":"{TEXT}"}}}}"#);
    road.sim.send_raw(RawWebhook {
        secret: Some("another".to_owned()),
        ..RawWebhook::new("message.received", unauthentic)
    });
    ensure!(road.sim.idle(PATIENCE).await);
    wait::until("three dead letters", PATIENCE, async || -> Result<bool> {
        let dead = road.count("SELECT count(*) FROM dead_letters").await?;
        ensure!(dead == 3, "{dead}");
        Ok(true)
    })
    .await?;
    // An outage of the broker has something to say, too.
    road.close_broker_connections().await?;
    let last = road.sim.inbound(InboundMessage { conversation_id: None, ..message(Content::text("Hola")) });
    wait::until("the last one", PATIENCE, async || -> Result<bool> {
        let ids = road.texts("SELECT id FROM messages").await?;
        Ok(ids.contains(&last.message_id))
    })
    .await?;

    let amqp = road.stage.setting("AMQP_URL").to_owned();
    let amqp_password =
        amqp.split_once('@').and_then(|(start, _)| start.rsplit(':').next()).unwrap_or_default();
    let media = road.texts("SELECT media ->> 'url' FROM messages WHERE media IS NOT NULL").await?;
    ensure!(image.is_some() && media.len() == 1);
    let private = [
        TEXT,
        "zanahoria",
        "veneno",
        "ayudarte",
        NUMBER,
        NAME,
        "Zoraida",
        "Quilodr",
        WAMID,
        // The number in base64, as a wamid holds it.
        "NTY5ODc2NTQzMjE",
        TOKEN,
        harness::stage::SECRET,
        DATABASE_PASSWORD,
        amqp_password,
        &media[0],
    ];
    for (program, log) in [("ingest", ingest.log()), ("worker", worker.log())] {
        for word in private {
            let line = log.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{program} tells {word:?}: {}", line.unwrap_or_default());
        }
    }
    // It is not silent, either.
    let told =
        |log: &str, words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    let ingest = ingest.log();
    assert!(told(&ingest, &["message.received", "conv-visible", "wamid.…", "127.0.0.1"]), "{ingest}");
    assert!(told(&ingest, &["WARN", "invalid"]), "{ingest}");
    let worker = worker.log();
    for words in
        [&["send_text", "done"][..], &["unknown"], &["discarded", "24-hour window"], &["dead letter"]]
    {
        assert!(told(&worker, words), "{words:?}: {worker}");
    }
    Ok(())
}
