//! Webhooks that an earlier ingest was killed with: today's one finds them in the spool, and every one arrives as it was.

use std::path::Path;

use anyhow::{Result, ensure};
use harness::stage::Stage;
use harness::wait;
use serde_json::Value;

use crate::earlier::recording;
use crate::waiting::PATIENCE;

/// What the worker has archived, in the form of the recording.
const ARCHIVED: &str = "SELECT json_build_object(
        'received_ms', (extract(epoch FROM received_at) * 1000)::bigint, 'kind', kind, 'verified_by', verified_by,
        'headers', headers, 'body', convert_from(body, 'UTF8'))
     FROM webhooks ORDER BY received_at";

#[tokio::test]
async fn what_an_earlier_ingest_has_spooled_arrives_as_it_was() -> Result<()> {
    let recorded: Vec<Value> = serde_json::from_str(&recording("spool/webhooks.json")?)?;
    let stage = Stage::new().await?;
    let spool = Path::new(stage.setting("BUZON_SPOOL_DIR"));
    std::fs::create_dir_all(spool)?;
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/earlier/spool");
    for entry in std::fs::read_dir(from)? {
        let segment = entry?.path();
        if segment.extension().is_some_and(|is| is == "segment") {
            std::fs::copy(&segment, spool.join(segment.file_name().unwrap_or_default()))?;
        }
    }

    let _worker = stage.worker().await?;
    let _ingest = stage.ingest().await?;
    wait::until("the spooled webhooks", PATIENCE, async || -> Result<bool> {
        let found: Vec<Value> = sqlx::query_scalar(ARCHIVED).fetch_all(stage.pool()).await?;
        ensure!(found == recorded, "{} of {}: {found:#?}", found.len(), recorded.len());
        Ok(true)
    })
    .await?;
    wait::until("the spool to be empty", PATIENCE, async || -> Result<bool> {
        let left = std::fs::read_dir(spool)?.map(|entry| Ok(entry?.file_name()));
        let left: Vec<_> = left.collect::<std::io::Result<_>>()?;
        ensure!(left.iter().all(|name| !name.to_string_lossy().contains('-')), "{left:?}");
        Ok(true)
    })
    .await
}
