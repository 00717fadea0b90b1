//! The recordings of an earlier version, and a stage whose database is as that version left it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::stage::Stage;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// The last migration of the earlier version.
pub(crate) const SCHEMA: i64 = 20_261_124_170_200;

/// The rows of each table, by its name, each as its columns.
pub(crate) type Rows = BTreeMap<String, Vec<Value>>;

/// A recording's text.
pub(crate) fn recording(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/earlier").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
}

/// The migrations, as files.
pub(crate) fn migrations() -> Result<Vec<(i64, String)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|it| Ok(it?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "sql"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
        let version = name.split('_').next().context("a version")?.parse()?;
        Ok((version, std::fs::read_to_string(&path)?))
    };
    paths.into_iter().map(read).collect()
}

/// A stage whose database is what the earlier version left behind when it was killed.
pub(crate) async fn left_behind() -> Result<Stage> {
    let stage = Stage::new().await?;
    // Of its own: a dump leaves settings of its session behind.
    let mut connection = PgConnection::connect(stage.setting("DATABASE_URL")).await?;
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut connection).await?;
    sqlx::raw_sql(AssertSqlSafe(recording("database.sql")?)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(stage)
}

/// Every row of every table that there is, sorted; a partition's are its table's.
pub(crate) async fn rows(pool: &PgPool) -> Result<Rows> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql("SET LOCAL TimeZone = 'UTC'").execute(&mut *tx).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut all = Rows::new();
    for table in tables {
        let select = format!("SELECT row_to_json(it) FROM {table} it ORDER BY row_to_json(it)::text");
        all.insert(table, sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut *tx).await?);
    }
    Ok(all)
}

/// Whether each row of `before` is still there: in as many rows, of which each has the columns of an old one, with
/// their values, and perhaps more.
pub(crate) fn nothing_is_lost(before: &Rows, after: &Rows) -> Result<()> {
    nothing_is_lost_beside(before, after, &[])
}

/// The same, where tables of these names may have more rows.
pub(crate) fn nothing_is_lost_beside(before: &Rows, after: &Rows, more: &[&str]) -> Result<()> {
    for (table, old) in before {
        let mut new = after.get(table).with_context(|| format!("the table {table} is gone"))?.clone();
        let as_many = new.len() == old.len() || more.contains(&table.as_str());
        ensure!(as_many, "{table}: {} rows were {}", new.len(), old.len());
        for row in old {
            let at = new.iter().position(|it| holds(it, row));
            new.swap_remove(at.with_context(|| format!("{table} lost or changed {row}"))?);
        }
    }
    Ok(())
}

fn holds(row: &Value, old: &Value) -> bool {
    old.as_object().is_some_and(|old| old.iter().all(|(column, value)| row.get(column) == Some(value)))
}
