//! A database that an earlier version left behind: its rows, by today's code.

use anyhow::{Context as _, Result, ensure};
use harness::stage::{SECRET, Stage};
use harness::wait;
use kapso_sim::{InboundMessage, Sim, SimConfig, Statuses};
use sqlx::PgPool;

use crate::earlier::{self, nothing_is_lost, rows};
use crate::waiting::PATIENCE;

const TOKEN: &str = "a-token-of-the-tests";

async fn count(pool: &PgPool, sql: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

async fn tool(stage: &Stage, args: &[&str]) -> Result<String> {
    let done = stage.finish("worker", args).await?;
    ensure!(done.code == Some(0), "worker {args:?} ({:?}):\n{}", done.code, done.log);
    Ok(done.log)
}

/// The recording is worth something: there are rows in every table, and effects in every state.
#[tokio::test]
async fn it_left_something_behind_in_every_table() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let left = rows(stage.pool()).await?;
    ensure!(left.len() == 15, "{:?}", left.keys());
    for (table, rows) in &left {
        ensure!(!rows.is_empty(), "{table} is empty");
    }
    let mut states: Vec<&str> = left["effects"].iter().filter_map(|it| it["state"].as_str()).collect();
    states.sort_unstable();
    states.dedup();
    ensure!(states == ["discarded", "done", "pending", "unknown"], "{states:?}");
    let leased = "SELECT count(*) FROM effects WHERE lease IS NOT NULL";
    let pending = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL";
    ensure!(count(stage.pool(), leased).await? > 0 && count(stage.pool(), pending).await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_migration_to_todays_schema_loses_and_changes_nothing() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let mut before = rows(stage.pool()).await?;
    stage.migrate().await?;
    let mut after = rows(stage.pool()).await?;
    let applied = |rows: &earlier::Rows| rows["_sqlx_migrations"].len();
    ensure!(applied(&before) == 3 && applied(&after) == earlier::migrations()?.len());
    // More is to be in this one; what it holds is compared by the migration itself.
    before.remove("_sqlx_migrations");
    after.remove("_sqlx_migrations");
    nothing_is_lost(&before, &after)
}

/// What the earlier version projected is what today's projects from the same bytes, but for what it did not know of
/// (columns that are new); and what only Kapso's answers have told it, such as the two names of a reply, is kept.
#[tokio::test]
async fn replay_and_rebuild_find_the_projections_as_they_were_left() -> Result<()> {
    let stage = earlier::left_behind().await?;
    let mut before = rows(stage.pool()).await?;
    stage.migrate().await?;
    // When they were projected last, and what is there of migrations.
    for table in ["webhooks", "_sqlx_migrations"] {
        before.remove(table);
    }
    for args in [&["replay", "--all"][..], &["replay", "--rebuild", "--yes"]] {
        let said = tool(&stage, args).await?;
        nothing_is_lost(&before, &rows(stage.pool()).await?).with_context(|| format!("{args:?}:\n{said}"))?;
    }
    Ok(())
}

/// The effects and their attempts are as old as the recording: they are brought to now, since what is too old is not
/// sent, and a reply in doubt is settled by what is known since then.
const BRING_TO_NOW: &str = "
    CREATE TEMPORARY TABLE age AS SELECT now() - max(started_at) AS of FROM effect_attempts;
    UPDATE effects SET next_at = next_at + age.of, expires_at = expires_at + age.of, lease = lease + age.of,
        created_at = created_at + age.of, settled_at = settled_at + age.of FROM age;
    UPDATE effect_attempts SET started_at = started_at + age.of, finished_at = finished_at + age.of FROM age;
    DROP TABLE age";

#[tokio::test]
async fn a_worker_goes_on_where_the_earlier_one_was_killed() -> Result<()> {
    let sim = Sim::start(SimConfig {
        webhook_secret: Some(SECRET.to_owned()),
        api_key: Some(TOKEN.to_owned()),
        statuses: Statuses::NONE,
        ..SimConfig::default()
    })
    .await?;
    let stage = earlier::left_behind().await?;
    sim.set_webhook_url(stage.webhook_url());
    let stage = stage
        .with("KAPSO_API_BASE_URL", sim.conversation_api_url())
        .with("KAPSO_API_TOKEN", TOKEN)
        .with("KAPSO_PHONE_NUMBER_ID", sim.line().phone_number_id.clone());
    stage.migrate().await?;
    let pool = stage.pool();
    sqlx::raw_sql(BRING_TO_NOW).execute(pool).await?;
    let done = "SELECT count(*) FROM effects WHERE state = 'done'";
    let done_before = count(pool, done).await?;
    let archived = count(pool, "SELECT count(*) FROM webhooks").await?;

    let _ingest = stage.ingest().await?;
    let _worker = stage.worker().await?;
    // What it had begun to project.
    let pending = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL";
    wait::until("the pending webhook to be projected", PATIENCE, async || -> Result<bool> {
        Ok(count(pool, pending).await? == 0)
    })
    .await?;
    // What it could not send, since Kapso was away. (A reply to a conversation that this Kapso does not know is
    // refused for good, which is an end too.)
    wait::until("nothing to be pending", PATIENCE, async || -> Result<bool> {
        let open = "SELECT count(*) FROM effects WHERE state = 'pending'";
        let found = count(pool, open).await?;
        ensure!(found == 0, "{found}");
        Ok(true)
    })
    .await?;
    // What was in doubt, or on its way when it was killed, is not sent blindly.
    let replies: Vec<(String, String, Option<String>, i32)> = sqlx::query_as(
        "SELECT message_id, state, outcome, attempts FROM effects WHERE kind = 'send_text' AND state <> 'discarded'",
    )
    .fetch_all(pool)
    .await?;
    let unknown: Vec<_> = replies.iter().filter(|(_, state, ..)| state == "unknown").collect();
    ensure!(unknown.len() == 1 && unknown[0].3 == 1, "{replies:?}");
    // And new traffic is taken beside all that, also from somebody who is known.
    let ids = sim.inbound(InboundMessage::text("+56955500000", "Necesito ayuda otra vez"));
    wait::until("the answer to a new message", PATIENCE, async || -> Result<bool> {
        let answered: i64 =
            sqlx::query_scalar("SELECT count(*) FROM effects WHERE message_id = $1 AND state = 'done'")
                .bind(&ids.message_id)
                .fetch_one(pool)
                .await?;
        ensure!(answered == 2, "{answered}");
        Ok(true)
    })
    .await?;
    ensure!(count(pool, done).await? >= done_before + 2);
    ensure!(count(pool, "SELECT count(*) FROM webhooks").await? == archived + 1);
    Ok(())
}
