//! Following the test event into Postgres, by its id.

use std::time::{Duration, Instant};

use contract::{envelope::WebhookId, kind::Kind, settings::Settings};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{sleep, timeout};

use super::{super::report::Finding, probe::KIND};
use crate::settings;

/// How long the way takes at the most, where nothing is wrong and no backlog is before it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a webhook has come.
enum Place {
    Nowhere,
    Archived,
    Projected,
}

/// Waits for it.
pub(super) async fn into_postgres(settings: &Settings, body: &[u8]) -> Finding {
    const ABOUT: &str = "postgres";
    let id = WebhookId::of(&Kind::new(KIND), body);
    let began = Instant::now();
    match arrived(settings, id).await {
        Ok(Place::Projected) => {
            let took = began.elapsed().as_secs_f64();
            Finding::fine(ABOUT, format!("the test event is archived and projected, {took:.1} s later"))
        }
        Ok(Place::Archived) => Finding::wrong(
            ABOUT,
            format!(
                "the test event is archived, and not projected after {} s (webhook {id})",
                PATIENCE.as_secs()
            ),
            "the slow lane has it: a worker's log says why, or that none is running",
        ),
        Ok(Place::Nowhere) => Finding::wrong(
            ABOUT,
            format!(
                "ingest answered 200, and the test event is not in Postgres after {} s (webhook {id})",
                PATIENCE.as_secs()
            ),
            "no worker stores it: is one running, on the same RabbitMQ and the same Postgres? It is not lost: it waits in the queue or in the spool",
        ),
        Err(why) => Finding::remark(
            ABOUT,
            format!("the test event was not followed: {why}"),
            "see the check `database`",
        ),
    }
}

async fn arrived(settings: &Settings, id: WebhookId) -> Result<Place, String> {
    const ASK: &str = "SELECT projected_at IS NOT NULL FROM webhooks
                       WHERE id = $1 AND received_at > now() - interval '1 day'";
    let options =
        settings::database(settings).map_err(|error| error.to_string())?.application_name("buzon-doctor");
    let connected = timeout(PATIENCE, PgConnection::connect_with(&options)).await;
    let mut connection =
        connected.map_err(|_| "Postgres does not answer".to_owned())?.map_err(|error| error.to_string())?;
    let began = Instant::now();
    let mut place = Place::Nowhere;
    while began.elapsed() < PATIENCE {
        let found: Option<bool> = sqlx::query_scalar(ASK)
            .bind(id.as_bytes())
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| error.to_string())?;
        match found {
            Some(true) => return Ok(Place::Projected),
            Some(false) => place = Place::Archived,
            None => {}
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(place)
}
