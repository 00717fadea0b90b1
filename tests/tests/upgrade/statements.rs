//! What a worker of the earlier version asks of the database, asked of today's schema.

use anyhow::{Context as _, Result, ensure};
use harness::stage::Stage;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::earlier::recording;

/// Between two statements of the recording.
const BETWEEN: &str = "\n;;\n";

/// Each statement is parsed, and planned for parameters that are null: that needs every table, column, function and
/// type in it, and each constraint that an ON CONFLICT names. Nothing is run.
#[tokio::test]
async fn todays_schema_understands_every_statement_of_an_earlier_worker() -> Result<()> {
    let stage = Stage::new().await?;
    let mut connection = PgConnection::connect(stage.setting("DATABASE_URL")).await?;
    let recorded = recording("statements.sql")?;
    let statements: Vec<&str> = recorded.split(BETWEEN).map(str::trim).filter(|it| !it.is_empty()).collect();
    ensure!(statements.len() > 25, "{}", statements.len());
    for (nth, statement) in statements.iter().enumerate() {
        let what = || format!("an earlier worker asks what today's schema does not understand:\n{statement}");
        let prepare = AssertSqlSafe(format!("PREPARE asked_{nth} AS {statement}"));
        sqlx::raw_sql(prepare).execute(&mut connection).await.with_context(what)?;
        let parameters: i32 = sqlx::query_scalar(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1",
        )
        .bind(format!("asked_{nth}"))
        .fetch_one(&mut connection)
        .await?;
        let nulls = vec!["NULL"; usize::try_from(parameters)?].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let plan = AssertSqlSafe(format!("EXPLAIN EXECUTE asked_{nth}{nulls}"));
        sqlx::raw_sql(plan).execute(&mut connection).await.with_context(what)?;
    }
    Ok(())
}
