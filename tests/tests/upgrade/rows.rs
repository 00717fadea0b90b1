//! A database that an earlier version left behind: its rows, by today's code.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use harness::stage::Stage;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::earlier::{self, Rows, nothing_is_lost, nothing_is_lost_beside, rows};

/// Tables of people: today's code links names that the earlier version took for other people's.
const OF_PEOPLE: [&str; 3] = ["contacts", "contact_aliases", "lanes"];

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

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

/// What the earlier version left behind, as today's code sees it: people under the ids that they have now, and without
/// Kapso's descriptions of files, which it took for the person's words.
fn as_seen_today(before: &Rows, after: &Rows) -> Rows {
    let aliases = |rows: &Rows| -> BTreeMap<String, String> {
        rows["contact_aliases"].iter().map(|it| (text(it, "alias").into(), text(it, "id").into())).collect()
    };
    let (was, is) = (aliases(before), aliases(after));
    // Contacts that got another name, or became another's.
    let new = is.iter().filter(|(alias, id)| was.get(*alias) != Some(id));
    let changed: BTreeSet<&str> =
        new.flat_map(|(alias, id)| [Some(id), was.get(alias)]).flatten().map(String::as_str).collect();
    let now = |id: &str| is.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut seen = before.clone();
    for (table, rows) in &mut seen {
        rows.retain(|row| match table.as_str() {
            "contacts" => !changed.contains(text(row, "id")),
            "lanes" => !changed.contains(text(row, "contact_id")),
            _ => true,
        });
        for row in rows {
            let is_changed = changed.contains(text(row, "contact_id"));
            let of_contact = if table == "contact_aliases" { "id" } else { "contact_id" };
            for column in [of_contact, "reactor"] {
                if !text(row, column).is_empty() {
                    row[column] = json!(now(text(row, column)));
                }
            }
            if let Some((number, contact)) = text(row, "lane").split_once('/') {
                row["lane"] = json!(format!("{number}/{}", now(contact)));
            }
            let is_description = row["body_rank"] == 1 && !["", "text"].contains(&text(row, "type"));
            if let Some(columns) = row.as_object_mut() {
                columns.retain(|name, _| match name.as_str() {
                    "contact_alias" => !is_changed,
                    "body" | "body_rank" => !is_description,
                    _ => true,
                });
            }
        }
    }
    seen
}

/// What the earlier version projected is what today's projects from the same bytes, but for what it did not know of
/// (columns that are new, names of one person, whose words are whose); and what only Kapso's answers have told it, such as the two names of a reply, is kept.
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
        let after = rows(stage.pool()).await?;
        nothing_is_lost_beside(&as_seen_today(&before, &after), &after, &OF_PEOPLE)
            .with_context(|| format!("{args:?}:\n{said}"))?;
    }
    Ok(())
}
