//! The archive alone is enough, and what listings tell is what webhooks would have told.

use anyhow::{Context, Result};
use contract::envelope::{Envelope, Hints, WebhookId};
use contract::kind::Kind;
use harness::stage::Stage;
use harness::wait;
use kapso_sim::{Content, Dialect, InboundMessage, SimConfig};
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use worker::effects::{Policy, RuleBook};
use worker::kapso::ApiStyle;
use worker::store::{Batch, Store};

use crate::scene::{PATIENCE, STYLES, Scene, Style, kapso, number, rows};

/// All that the projection fills.
const TABLES: [&str; 8] = [
    "contacts",
    "contact_aliases",
    "conversations",
    "messages",
    "message_aliases",
    "message_statuses",
    "reactions",
    "effects",
];

/// What is in them. Signed addresses differ in each listing.
async fn state(pool: &PgPool) -> Result<Vec<(&'static str, Vec<Value>)>> {
    let mut state = Vec::new();
    for table in TABLES {
        let mut rows = rows(pool, &format!("SELECT * FROM {table}")).await?;
        rows.sort_by_key(Value::to_string);
        state.push((table, rows));
    }
    Ok(state)
}

async fn archived(pool: &PgPool) -> Result<Vec<Envelope>> {
    type Row = (Vec<u8>, String, OffsetDateTime, String, Vec<u8>);
    let select = "SELECT id, kind, received_at, verified_by, body FROM webhooks ORDER BY id";
    let rows: Vec<Row> = sqlx::query_as(select).fetch_all(pool).await?;
    let recalled = rows.into_iter().map(|(id, kind, received_at, verified_by, body)| {
        let id = WebhookId::from_bytes(&id).context("an id")?;
        Ok(Envelope::recall(id, Kind::new(&kind), received_at, verified_by, Hints::default(), body.into()))
    });
    recalled.collect()
}

fn policy() -> Policy {
    Policy {
        off: None,
        book: RuleBook { max_age: time::Duration::hours(1), ..RuleBook::default() },
        phone_number_id: None,
        api: ApiStyle::Conversation.into(),
    }
}

/// Texts, files and a reaction, of two people.
fn story(scene: &Scene, lost: bool) -> Result<usize> {
    let mut told = 0;
    let mut tell = |contact: usize, content: Content| {
        let name = Some("Begoña Núñez".to_owned());
        let message = InboundMessage::new(number(contact), content);
        let _ids = scene.sim.inbound(InboundMessage { lost, name, ..message });
        told += 1;
    };
    for contact in 0..2 {
        tell(contact, Content::text("Necesito ayuda"));
        for kind in ["image", "location", "audio", "document"] {
            tell(contact, Content::sample(kind, "mira").context("a sample")?);
        }
    }
    Ok(told)
}

#[tokio::test]
async fn the_archive_alone_projects_the_same_rows() -> Result<()> {
    for style in STYLES {
        let scene = Scene::new(style).await?;
        let told = story(&scene, true)?;
        assert_eq!(scene.report(&["--since", "1h"]).await?["stored"], told);
        let archived = archived(&scene.pool).await?;
        assert_eq!(archived.len(), told);
        for webhook in &archived {
            assert_eq!(webhook.id, WebhookId::of(&webhook.kind, &webhook.body), "its name is its bytes'");
        }
        let elsewhere = Stage::new().await?;
        let store = Store::new(elsewhere.pool().clone(), policy());
        for webhook in archived.iter().rev() {
            store.take(&Batch::of([webhook])).await?;
        }
        assert_eq!(state(elsewhere.pool()).await?, state(&scene.pool).await?, "{style:?}");
        assert_eq!(
            scene.count("SELECT count(*) FROM effects").await?,
            0,
            "even by a policy that would answer"
        );
    }
    Ok(())
}

/// What differs: a listing shows no snapshot of the conversation, so that its state and the time of its last activity
/// are not known; the conversation API says neither a message's origin nor a file's name, type and size.
#[tokio::test]
async fn a_listing_tells_of_a_message_what_its_webhook_tells() -> Result<()> {
    for (style, dialect) in [(Style::Conversation, Dialect::V1), (Style::Proxy, Dialect::V2)] {
        let config = SimConfig { dialect, fresh_media_urls: false, ..kapso(style) };
        let scene = Scene::beside(style, config).await?;
        let told = i64::try_from(story(&scene, true)?)?;
        scene.report(&["--since", "1h"]).await?;
        let columns = match style {
            Style::Proxy => "*",
            Style::Conversation => {
                "id, conversation_id, contact_id, phone_number_id, direction, type, body, context, content, status,
                 occurred_at, type_rank, body_rank, occurred_rank, media ->> 'url' AS url"
            }
        };
        let messages = format!("SELECT {columns} FROM messages ORDER BY id");
        let contacts = "SELECT id, phone_number, name FROM contacts ORDER BY id";
        let conversations = "SELECT id, contact_id, phone_number_id FROM conversations ORDER BY id";
        let listed = [&messages, contacts, conversations];
        let mut by_listing = Vec::new();
        for select in listed {
            by_listing.push(scene.rows(select).await?);
        }

        // The same messages once more, by their webhooks alone.
        sqlx::query("TRUNCATE contacts, contact_aliases, conversations, messages, message_aliases, webhooks")
            .execute(&scene.pool)
            .await?;
        let scene_stage = scene.stage.with("BUZON_EFFECTS", "off");
        let _programs = tokio::try_join!(scene_stage.ingest(), scene_stage.worker())?;
        for delivery in scene.sim.deliveries() {
            let _again = scene.sim.repeat(delivery.number);
        }
        wait::until("the webhooks", PATIENCE, async || -> Result<bool> {
            let count = "SELECT count(*) FROM messages";
            let stored: i64 = sqlx::query_scalar(count).fetch_one(&scene.pool).await?;
            Ok(stored == told)
        })
        .await?;
        for (select, by_listing) in listed.into_iter().zip(by_listing) {
            assert_eq!(by_listing, rows(&scene.pool, select).await?, "{style:?}: {select}");
        }
    }
    Ok(())
}
